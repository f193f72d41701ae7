static void nn_magnitude(const struct nn_stage *s, nn_value *arena)
{
  const unsigned per_group = s->channels / s->groups;
  unsigned y, x, group, row, column, channel;
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++)
      for (group = 0; group < s->groups; group++) {
        double sum = 0, mean;
        for (row = 0; row < s->size; row++)
          for (column = 0; column < s->size; column++) {
            const int at_y = (int)(y * s->stride + row * s->dilation) - s->padding;
            const int at_x = (int)(x * s->stride + column * s->dilation) - s->padding;
            const float *in;
            if (at_y < 0 || at_y >= s->height || at_x < 0 || at_x >= s->width)
              continue;
            in = arena + s->in + ((size_t)at_y * s->width + at_x) * s->in_stride + group * per_group;
            for (mean = 0, channel = 0; channel < per_group; channel++)
              mean += in[channel] < 0 ? -(double)in[channel] : (double)in[channel];
            sum += mean / (double)per_group * (1.0 / (s->size * s->size));
          }
        arena[s->out + ((size_t)y * s->out_width + x) * s->out_stride + group] = (float)sum;
      }
}
