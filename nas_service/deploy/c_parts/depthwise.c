static void @NAME@(const struct nn_stage *s, float *arena)
{
  uint8_t *bits = (uint8_t *)(arena + s->scratch);
  const uint32_t *weights = (const uint32_t *)s->weights;
  const size_t words = s->group_bytes / 4u, width = s->width + 2u * s->padding;
  unsigned y, x, word, row, column, level, lane, first;
  @PACK@(s, arena, bits);
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++)
      for (word = 0; word < words; word++) {
        uint32_t sums[NN_LEVELS] = {0}, ones[NN_LEVELS] = {0};
        const uint32_t *weight = weights + word;
        for (row = 0; row < s->size; row++)
          for (column = 0; column < s->size; column++, weight += words) {
            const size_t at = ((size_t)y * s->stride + row * s->dilation) * width + (size_t)x * s->stride + column * s->dilation;
            uint32_t seen, carry;
            memcpy(&seen, bits + (at * words + word) * 4, 4);
            for (carry = seen ^ *weight, level = 0; level < NN_LEVELS; level++) { /* 32 counters of one bit a level */
              const uint32_t both = sums[level] & carry;
              sums[level] ^= carry;
              carry = both;
            }
            for (carry = @SUMS@ ? seen : 0, level = 0; @SUMS@ && level < NN_LEVELS; level++) {
              const uint32_t both = ones[level] & carry;
              ones[level] ^= carry;
              carry = both;
            }
          }
        for (first = 0; first < 32 && word * 32 + first < s->outputs; first += NN_LANES) {
          const unsigned left = s->outputs - word * 32 - first, lanes = left < NN_LANES ? left : NN_LANES;
          int32_t counts[2 * NN_LANES];
          for (lane = 0; lane < NN_LANES; lane++) {
            uint32_t count = 0, one = 0;
            for (level = 0; level < NN_LEVELS; level++) {
              count += (sums[level] >> (first + lane) & 1u) << level;
              one += (ones[level] >> (first + lane) & 1u) << level;
            }
            counts[lane] = (int32_t)count;
            counts[NN_LANES + lane] = (int32_t)one;
          }
          @STORE@;
        }
      }
}
