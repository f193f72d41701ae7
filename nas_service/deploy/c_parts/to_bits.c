/* Signs of whole numbers, by how many bits differ. */
#if defined(NN_AVX512)
static inline __m512i nn_sixteen(const int16_t *limits)
{
  return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)limits));
}
#endif

NN_INLINE void nn_to_bits(const struct nn_stage *s, nn_value *arena, const int32_t *counts, size_t pixel, unsigned first, unsigned lanes)
{
  uint8_t *out = (uint8_t *)(arena + s->out) + pixel * ((s->outputs + 7u) / 8) + first / 8;
  const int16_t *most = s->most + first;
  unsigned lane, mask = 0;
#if defined(NN_AVX512)
  for (; lanes >= NN_LANES; lanes -= NN_LANES, counts += NN_LANES, first += NN_LANES, most += NN_LANES, out += 2) {
    const __m512i count = _mm512_loadu_si512((const void *)counts);
    uint16_t flips = 0, two = _mm512_cmple_epi32_mask(count, nn_sixteen(most));
    if (s->least)
      two |= _mm512_cmpge_epi32_mask(count, nn_sixteen(s->least + first));
    if (s->out_flips)
      memcpy(&flips, s->out_flips + first / 8, 2);
    two ^= flips;
    memcpy(out, &two, 2);
  }
  if (!lanes)
    return;
#endif
  for (lane = 0; lane < lanes; lane++)
    mask |= (unsigned)(counts[lane] <= most[lane]) << lane;
  if (s->least)
    for (lane = 0; lane < lanes; lane++)
      mask |= (unsigned)(counts[lane] >= s->least[first + lane]) << lane;
  if (s->out_flips)
    mask ^= s->out_flips[first / 8] | (lanes > 8 ? (unsigned)s->out_flips[first / 8 + 1] << 8 : 0u);
  out[0] = (uint8_t)mask;
  if (lanes > 8)
    out[1] = (uint8_t)(mask >> 8);
}
