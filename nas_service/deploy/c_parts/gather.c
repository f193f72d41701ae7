NN_INLINE void nn_copy_bytes(uint8_t *to, const uint8_t *from, size_t count)
{
  for (; count >= 4; count -= 4, to += 4, from += 4)
    memcpy(to, from, 4);
  if (count & 2) {
    memcpy(to, from, 2);
    to += 2;
    from += 2;
  }
  if (count & 1)
    *to = *from;
}

/* The bits under the windows of `pixels` neighbouring outputs, as words; bytes past the last position stay 0. */
static const uint32_t *nn_gather(const struct nn_stage *s, const uint8_t *bits, unsigned group, unsigned y, unsigned x, unsigned pixels,
                                 uint32_t *patch)
{
  const size_t pixel_bytes = (size_t)s->groups * s->group_bytes, width = s->width + 2u * s->padding;
  unsigned pixel, row, column;
  if (s->size == 1 && s->stride == 1 && !s->padding && s->groups == 1 && s->group_bytes % 4 == 0)
    return (const uint32_t *)(const void *)(bits + (y * width + x) * pixel_bytes);
  for (pixel = 0; pixel < pixels; pixel++) {
    uint8_t *to = (uint8_t *)(patch + (size_t)pixel * s->words);
    const uint8_t *from = bits + ((size_t)y * s->stride * width + (size_t)(x + pixel) * s->stride) * pixel_bytes + group * s->group_bytes;
    for (row = 0; row < s->size; row++) {
      const uint8_t *at = from + (size_t)row * s->dilation * width * pixel_bytes;
      if (s->dilation == 1 && s->groups == 1) {
        nn_copy_bytes(to, at, s->size * pixel_bytes);
        to += s->size * pixel_bytes;
      } else {
        for (column = 0; column < s->size; column++, at += s->dilation * pixel_bytes) {
          nn_copy_bytes(to, at, s->group_bytes);
          to += s->group_bytes;
        }
      }
    }
  }
  return patch;
}
