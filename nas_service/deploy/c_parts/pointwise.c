static void @NAME@(const struct nn_stage *s, nn_value *arena)
{
  const size_t pixels = (size_t)s->out_height * s->out_width;
  size_t pixel;
  unsigned first;
  for (pixel = 0; pixel < pixels; pixel++)
    for (first = 0; first < s->outputs; first += NN_LANES) {
      const unsigned left = s->outputs - first, lanes = left < NN_LANES ? left : NN_LANES;
      @TAIL@(s, arena, arena + s->in + pixel * s->in_stride + first, 0, 0, pixel, first, lanes);
    }
}
