static void @NAME@(const struct nn_stage *s, nn_value *arena)
{
  const unsigned outputs = s->outputs / s->groups, per_group = s->channels / s->groups;
  unsigned y, x, row, column, channel, output;
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++)
      for (output = 0; output < s->outputs; output++) {
        const float *weight = (const float *)s->weights + (size_t)output * s->size * s->size * per_group;
        double sum = 0;
        float value;
        for (row = 0; row < s->size; row++)
          for (column = 0; column < s->size; column++, weight += per_group) {
            const int at_y = (int)(y * s->stride + row * s->dilation) - s->padding;
            const int at_x = (int)(x * s->stride + column * s->dilation) - s->padding;
            const float *in;
            if (at_y < 0 || at_y >= s->height || at_x < 0 || at_x >= s->width)
              continue;
            in = arena + s->in + ((size_t)at_y * s->width + at_x) * s->in_stride + output / outputs * per_group;
            for (channel = 0; channel < per_group; channel++)
              sum += (double)in[channel] * (double)weight[channel];
          }
        value = (float)sum;
        @TAIL@(s, arena, &value, 0, 0, (size_t)y * s->out_width + x, output, 1);
      }
}
