/* Signs that lie as bits already, [pixel][byte], as `nn_pack` lays them. */
static void nn_pack_bits(const struct nn_stage *s, const nn_value *arena, uint8_t *bits)
{
  const unsigned stored = (s->channels + 7u) / 8, pixel_bytes = s->groups * s->group_bytes, width = s->width + 2u * s->padding;
  const uint8_t *in = (const uint8_t *)(arena + s->in);
  unsigned x, y;
  nn_pad(s, bits);
  for (y = 0; y < s->height; y++) {
    uint8_t *row = bits + ((size_t)(y + s->padding) * width + s->padding) * pixel_bytes;
    if (pixel_bytes == stored) {
      memcpy(row, in, (size_t)s->width * stored);
      in += (size_t)s->width * stored;
      continue;
    }
    for (x = 0; x < s->width; x++, in += stored, row += pixel_bytes) {
      memset(row, 0, pixel_bytes);
      memcpy(row, in, stored);
    }
  }
}
