static void nn_group_mean(const struct nn_stage *s, float *arena)
{
  const size_t pixels = (size_t)s->out_height * s->out_width;
  size_t pixel;
  unsigned channel, group;
  for (pixel = 0; pixel < pixels; pixel++)
    for (channel = 0; channel < s->outputs; channel++) {
      const float *in = arena + s->in + pixel * s->in_stride + channel;
      float sum = in[0];
      for (group = 1; group < s->groups; group++)
        sum = sum + in[group * s->outputs];
      arena[s->out + pixel * s->out_stride + channel] = sum / (float)s->groups;
    }
}
