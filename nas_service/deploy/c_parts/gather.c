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

/* The bits under the windows of `pixels` neighbouring outputs, where they lie if that is possible, else as words in `room`, whose
   bytes past the last position stay 0. */
NN_INLINE void nn_gather(const struct nn_stage *s, const uint8_t *bits, unsigned group, unsigned y, unsigned x, unsigned pixels,
                         uint32_t *room, struct nn_patch *patch)
{
  const size_t pixel_bytes = (size_t)s->groups * s->group_bytes, width = s->width + 2u * s->padding;
  const uint8_t *from = bits + ((size_t)y * s->stride * width + (size_t)x * s->stride) * pixel_bytes + group * s->group_bytes;
  unsigned pixel, row, column;
  if (s->group_bytes % 4 == 0 && s->dilation == 1 && s->groups == 1 && (NN_TILE > 1 || s->size == 1)) {
    patch->bits = (const uint32_t *)(const void *)from;
    patch->rows = s->size;
    patch->words = s->size * s->group_bytes / 4u;
    patch->row = width * pixel_bytes / 4;
    patch->pixel = s->stride * pixel_bytes / 4;
    return;
  }
  patch->bits = room;
  patch->rows = 1;
  patch->words = s->words;
  patch->row = patch->pixel = s->words;
  for (pixel = 0; pixel < pixels; pixel++, from += s->stride * pixel_bytes) {
    uint8_t *to = (uint8_t *)(room + (size_t)pixel * s->words);
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
}
