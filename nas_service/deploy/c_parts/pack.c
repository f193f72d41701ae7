/* Signs of a map as bits, [padded pixel][group][byte]: a bit is (x >= limit), turned over where `flips` says so. */
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
  for (; at < count; at += 8) {
    const unsigned left = count - at < 8 ? count - at : 8;
    unsigned byte = 0;
    for (bit = 0; bit < left; bit++)
      byte |= (unsigned)(x[at + bit] >= limit[at + bit]) << bit;
    bytes[at / 8] = (uint8_t)(byte ^ (flips ? flips[at / 8] : 0u));
  }
}

static void nn_pack(const struct nn_stage *s, const float *arena, uint8_t *bits)
{
  const unsigned per_group = s->channels / s->groups, pixel_bytes = s->groups * s->group_bytes;
  const unsigned width = s->width + 2u * s->padding;
  unsigned x, y, group, channel;
  nn_pad(s, bits);
  for (y = 0; y < s->height; y++) {
    uint8_t *row = bits + ((size_t)(y + s->padding) * width + s->padding) * pixel_bytes;
    const float *in = arena + s->in + (size_t)y * s->width * s->in_stride;
    for (x = 0; x < s->width; x++, in += s->in_stride, row += pixel_bytes) {
      for (group = 0; group < s->groups; group++) {
        for (channel = per_group / 8; channel < s->group_bytes; channel++)
          row[group * s->group_bytes + channel] = 0;
        nn_signs(in + group * per_group, s->limits + group * per_group, per_group,
                 s->flips ? s->flips + group * s->group_bytes : 0, row + group * s->group_bytes);
      }
    }
  }
}
