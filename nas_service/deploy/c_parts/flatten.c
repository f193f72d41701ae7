static void nn_flatten(const struct nn_stage *s, nn_value *arena)
{
  const size_t pixels = (size_t)s->height * s->width;
  size_t pixel;
  unsigned channel;
  for (channel = 0; channel < s->channels; channel++)
    for (pixel = 0; pixel < pixels; pixel++)
      arena[s->out + channel * pixels + pixel] = arena[s->in + pixel * s->in_stride + channel];
}
