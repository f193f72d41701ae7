static void nn_gather_channels(const struct nn_stage *s, nn_value *arena)
{
  const int16_t *index = (const int16_t *)s->weights;
  const size_t pixels = (size_t)s->out_height * s->out_width;
  size_t pixel;
  unsigned channel;
  for (pixel = 0; pixel < pixels; pixel++) {
    const nn_value *in = arena + s->in + pixel * s->in_stride;
    nn_value *out = arena + s->out + pixel * s->out_stride;
    for (channel = 0; channel < s->outputs; channel++)
      out[channel] = index[channel] < 0 ? 0 : in[index[channel]];
  }
}
