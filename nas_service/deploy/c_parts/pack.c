/* Signs of a map as bits, [padded pixel][group][byte]: a bit is (x >= limit), turned over where `flips` says so. */
NN_INLINE uint8_t nn_signs(const float *x, const float *limit, unsigned count)
{
#if defined(NN_AVX512) || defined(NN_AVX2)
  if (count == 8)
    return (uint8_t)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x), _mm256_loadu_ps(limit), _CMP_GE_OQ));
#endif
  {
    unsigned bit, byte = 0;
    for (bit = 0; bit < count; bit++)
      byte |= (unsigned)(x[bit] >= limit[bit]) << bit;
    return (uint8_t)byte;
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
    for (x = 0; x < s->width; x++, in += s->in_stride) {
      const float *limit = s->limits, *value = in;
      for (group = 0; group < s->groups; group++) {
        for (channel = 0; channel < s->group_bytes; channel++) {
          const unsigned left = per_group > 8 * channel ? per_group - 8 * channel : 0, count = left < 8 ? left : 8;
          *row++ = nn_signs(value, limit, count);
          value += count;
          limit += count;
        }
      }
      if (s->flips)
        for (channel = 0; channel < pixel_bytes; channel++)
          row[(int)channel - (int)pixel_bytes] ^= s->flips[channel];
    }
  }
}
