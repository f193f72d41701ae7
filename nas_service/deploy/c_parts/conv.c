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
            int32_t two[2 * NN_TILE * NN_LANES];
            nn_dot_two(&patch, weights, (size_t)s->words * NN_LANES, two);
            weights += 2 * (size_t)s->words * NN_LANES;
            for (pixel = 0; pixel < NN_TILE; pixel++)
              @STORE_FIRST@;
            output += NN_LANES;
            for (pixel = 0; pixel < NN_TILE; pixel++)
              @STORE_SECOND@;
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
