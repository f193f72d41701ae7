NN_INLINE void @NAME@_lanes(const struct nn_stage *s, const nn_value *in, nn_value *out, int top, int left, unsigned lanes)
{
  const int bottom = top + s->size > s->height ? s->height : top + s->size;
  const int right = left + s->size > s->width ? s->width : left + s->size;
  const int from = left < 0 ? 0 : left;
  nn_number value[NN_LANES];
  int row, column, count = 0;
  unsigned lane;
  for (row = top < 0 ? 0 : top; row < bottom; row++)
    for (column = from; column < right; column++, count++) {
      const nn_value *at = in + ((size_t)row * s->width + column) * s->in_stride;
      for (lane = 0; !count && lane < lanes; lane++)
        value[lane] = at[lane];
      for (lane = 0; count && lane < lanes; lane++)
        value[lane] = @STEP@;
    }
  for (lane = 0; lane < lanes; lane++)
    out[lane] = (nn_value)(@LAST@);
}

static void @NAME@(const struct nn_stage *s, nn_value *arena)
{
  unsigned y, x, first;
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++)
      for (first = 0; first < s->outputs; first += NN_LANES) {
        nn_value *out = arena + s->out + ((size_t)y * s->out_width + x) * s->out_stride + first;
        const unsigned left = s->outputs - first, lanes = left < NN_LANES ? left : NN_LANES;
        const int at_y = (int)(y * s->stride) - s->padding, at_x = (int)(x * s->stride) - s->padding;
#if defined(NN_VECTORS)
        if (lanes == NN_LANES) {
          @NAME@_lanes(s, arena + s->in + first, out, at_y, at_x, NN_LANES);
          continue;
        }
#endif
        @NAME@_lanes(s, arena + s->in + first, out, at_y, at_x, lanes);
      }
}
