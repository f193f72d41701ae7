static void nn_group_mean(const struct nn_stage *s, nn_value *arena)
{
  const size_t pixels = (size_t)s->out_height * s->out_width;
  size_t pixel;
  unsigned channel, group;
  for (pixel = 0; pixel < pixels; pixel++)
    for (channel = 0; channel < s->outputs; channel++) {
      const nn_value *in = arena + s->in + pixel * s->in_stride + channel;
      int32_t sum = 0;
      for (group = 0; group < s->groups; group++)
        sum += in[group * s->outputs];
      arena[s->out + pixel * s->out_stride + channel] = (nn_value)nn_mean(sum, s->groups);
    }
}
