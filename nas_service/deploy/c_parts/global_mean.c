static void nn_global_mean(const struct nn_stage *s, nn_value *arena)
{
  const size_t pixels = (size_t)s->height * s->width;
  size_t pixel;
  unsigned channel;
  for (channel = 0; channel < s->outputs; channel++) {
    float sum = 0;
    for (pixel = 0; pixel < pixels; pixel++)
      sum = sum + arena[s->in + pixel * s->in_stride + channel];
    arena[s->out + channel] = sum / (float)pixels;
  }
}
