static void nn_max_pool_bits(const struct nn_stage *s, nn_value *arena)
{
  const unsigned bytes = (s->outputs + 7u) / 8;
  const uint8_t *in = (const uint8_t *)(arena + s->in);
  uint8_t *out = (uint8_t *)(arena + s->out);
  unsigned y, x, byte;
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++, out += bytes) {
      int row = (int)(y * s->stride) - s->padding, end_y = row + s->size;
      end_y = end_y > s->height ? s->height : end_y;
      memset(out, 0, bytes);
      for (row = row < 0 ? 0 : row; row < end_y; row++) {
        int column = (int)(x * s->stride) - s->padding, end_x = column + s->size;
        end_x = end_x > s->width ? s->width : end_x;
        for (column = column < 0 ? 0 : column; column < end_x; column++)
          for (byte = 0; byte < bytes; byte++)
            out[byte] |= in[((size_t)row * s->width + column) * bytes + byte];
      }
      for (byte = 0; s->out_flips && byte < bytes; byte++)
        out[byte] ^= s->out_flips[byte];
    }
}
