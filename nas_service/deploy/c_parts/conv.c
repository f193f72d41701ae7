#if defined(NN_AVX512)
/* Four pixels and 16 times `blocks` outputs; returns how many outputs. */
NN_INLINE unsigned @NAME@_blocks(const struct nn_stage *s, nn_value *arena, const struct nn_patch *windows, const uint32_t *weights,
                                 size_t place, unsigned first, unsigned blocks)
{
  const struct nn_patch patch = *windows;
  const unsigned outputs = blocks * NN_LANES, lanes = @LANES@;
  int32_t counts[16 * NN_LANES];
  unsigned pixel, output;
  nn_dot_blocks(&patch, weights, (size_t)s->words * NN_LANES, blocks, counts);
  for (pixel = 0; pixel < NN_TILE; pixel++)
    for (output = 0; output < outputs; output += lanes)
      @STORE_BLOCK@;
  return outputs;
}
#endif

static void @NAME@(const struct nn_stage *s, nn_value *arena)
{
  uint8_t *bits = (uint8_t *)(arena + s->scratch);
  uint32_t *room = (uint32_t *)(void *)(arena + s->patch);
  const unsigned outputs = s->outputs / s->groups;
  const uint32_t *weights = (const uint32_t *)s->weights;
  unsigned group, y, x, output;
  @PACK@(s, arena, bits);
  memset(room, 0, sizeof(*room) * NN_TILE * s->words);
  for (group = 0; group < s->groups; group++) {
    const uint32_t *own = weights;
    for (y = 0; y < s->out_height; y++)
      for (x = 0; x < s->out_width; x += NN_TILE) {
        const unsigned pixels = s->out_width - x < NN_TILE ? s->out_width - x : NN_TILE;
        struct nn_patch patch;
        nn_gather(s, bits, group, y, x, pixels, room, &patch);
        weights = own;
        for (output = 0; output < outputs; output += NN_LANES) {
          int32_t counts[NN_TILE * NN_LANES];
          const unsigned left = outputs - output, lanes = left < NN_LANES ? left : NN_LANES;
          const unsigned stored = left >= NN_LANES || left > 8 ? 16 : left > 4 ? 8 : 4;
          unsigned pixel;
#if defined(NN_AVX512)
          if (pixels == NN_TILE && left >= 2 * NN_LANES) {
            const size_t place = (size_t)y * s->out_width + x;
            const unsigned first = group * outputs + output;
            const unsigned done = left >= 4 * NN_LANES ? @NAME@_blocks(s, arena, &patch, weights, place, first, 4)
                                                       : @NAME@_blocks(s, arena, &patch, weights, place, first, 2);
            weights += (size_t)s->words * done;
            output += done - NN_LANES;
            continue;
          }
#endif
          (left >= NN_LANES ? s->dot : s->dot_rest)(&patch, weights, counts, pixels);
          weights += (size_t)s->words * stored;
          for (pixel = 0; pixel < pixels; pixel++)
            @STORE@;
        }
      }
  }
}
