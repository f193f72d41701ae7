static void @NAME@(const struct nn_stage *s, nn_value *arena)
{
  uint8_t *bits = (uint8_t *)(arena + s->scratch);
  const uint32_t *weights = (const uint32_t *)s->weights;
  const size_t words = s->group_bytes / 4u, width = s->width + 2u * s->padding;
  unsigned y, x, word, first;
  @PACK@(s, arena, bits);
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++)
      for (word = 0; word < words; word++) {
        const uint8_t *seen = bits + (((size_t)y * s->stride * width + (size_t)x * s->stride) * words + word) * 4;
        for (first = 0; first < 32 && word * 32 + first < s->outputs; first += NN_LANES) {
          const unsigned left = s->outputs - word * 32 - first, lanes = left < NN_LANES ? left : NN_LANES;
          int32_t counts[2 * NN_LANES];
          nn_columns(s, seen, weights + word, first, counts);
#if @SUMS@
          nn_columns(s, seen, 0, first, counts + NN_LANES);
#endif
          @STORE@;
        }
      }
}
