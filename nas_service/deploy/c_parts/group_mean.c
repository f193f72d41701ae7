static void nn_group_mean(const struct nn_stage *s, nn_value *arena)
{
  const size_t pixels = (size_t)s->out_height * s->out_width;
  size_t pixel;
  unsigned channel, group;
  for (pixel = 0; pixel < pixels; pixel++) {
    const float *in = arena + s->in + pixel * s->in_stride;
    float *out = arena + s->out + pixel * s->out_stride;
    NN_LANES_APART
    for (channel = 0; channel < s->outputs; channel++)
      out[channel] = in[channel];
    for (group = 1; group < s->groups; group++) {
      in += s->outputs;
      NN_LANES_APART
      for (channel = 0; channel < s->outputs; channel++)
        out[channel] = out[channel] + in[channel];
    }
    NN_LANES_APART
    for (channel = 0; channel < s->outputs; channel++)
      out[channel] = out[channel] / (float)s->groups;
  }
}
