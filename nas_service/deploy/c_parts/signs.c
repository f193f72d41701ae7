#if defined(NN_AVX512)
#define NN_ROWS 1

/* Signs of 16 times `blocks` channels of a row of pixels, whose limits stay in registers. */
NN_SPARE_INLINE NN_INLINE void nn_signs_of_row(const struct nn_stage *s, const float *in, unsigned channel, unsigned blocks, uint8_t *bytes)
{
  const size_t step = (size_t)s->groups * s->group_bytes;
  __m512 limits[4];
  uint64_t flips = 0;
  unsigned x, at;
  NN_UNROLLED
  for (at = 0; at < blocks; at++)
    limits[at] = _mm512_loadu_ps(s->limits + channel + 16 * at);
  if (s->flips)
    memcpy(&flips, s->flips + channel / 8, 2 * blocks);
  for (x = 0, in += channel, bytes += channel / 8; x < s->width; x++, in += s->in_stride, bytes += step) {
    uint64_t signs = flips;
    NN_UNROLLED
    for (at = 0; at < blocks; at++)
      signs ^= (uint64_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(in + 16 * at), limits[at], _CMP_GE_OQ) << 16 * at;
    memcpy(bytes, &signs, 2 * blocks);
  }
}
#endif

/* Signs as bits: a bit is (x >= limit), turned over where `flips` says so. */
NN_INLINE void nn_signs(const float *x, const float *limit, unsigned count, const uint8_t *flips, uint8_t *bytes)
{
  unsigned at = 0, bit;
#if defined(NN_AVX512)
  for (; at + 16 <= count; at += 16) {
    uint16_t two = 0;
    if (flips)
      memcpy(&two, flips + at / 8, 2);
    two ^= (uint16_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(x + at), _mm512_loadu_ps(limit + at), _CMP_GE_OQ);
    memcpy(bytes + at / 8, &two, 2);
  }
#endif
#if defined(NN_AVX512) || defined(NN_AVX2)
  for (; at + 8 <= count; at += 8)
    bytes[at / 8] = (uint8_t)(_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x + at), _mm256_loadu_ps(limit + at), _CMP_GE_OQ)) ^
                              (flips ? flips[at / 8] : 0));
#endif
#if defined(NN_SSE2)
  for (; at + 8 <= count; at += 8) {
    const int low = _mm_movemask_ps(_mm_cmpge_ps(_mm_loadu_ps(x + at), _mm_loadu_ps(limit + at)));
    const int high = _mm_movemask_ps(_mm_cmpge_ps(_mm_loadu_ps(x + at + 4), _mm_loadu_ps(limit + at + 4)));
    bytes[at / 8] = (uint8_t)((unsigned)(low | high << 4) ^ (flips ? flips[at / 8] : 0u));
  }
#endif
  for (; at < count; at += 8) {
    const unsigned left = count - at < 8 ? count - at : 8;
    unsigned byte = 0;
    for (bit = 0; bit < left; bit++)
      byte |= (unsigned)(x[at + bit] >= limit[at + bit]) << bit;
    bytes[at / 8] = (uint8_t)(byte ^ (flips ? flips[at / 8] : 0u));
  }
}
