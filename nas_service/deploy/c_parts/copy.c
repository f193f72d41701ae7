static void nn_copy(const struct nn_stage *s, nn_value *arena)
{
  const size_t pixels = (size_t)s->out_height * s->out_width;
  size_t pixel;
  for (pixel = 0; pixel < pixels; pixel++)
    memcpy(arena + s->out + pixel * s->out_stride, arena + s->in + pixel * s->in_stride, s->channels * sizeof(*arena));
}
