static void nn_magnitude(const struct nn_stage *s, nn_value *arena)
{
  const unsigned per_group = s->channels / s->groups;
  unsigned y, x, group, row, column, channel;
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++)
      for (group = 0; group < s->groups; group++) {
        int32_t sum = 0;
        for (row = 0; row < s->size; row++)
          for (column = 0; column < s->size; column++) {
            const int at_y = (int)(y * s->stride + row * s->dilation) - s->padding;
            const int at_x = (int)(x * s->stride + column * s->dilation) - s->padding;
            const nn_value *in;
            if (at_y < 0 || at_y >= s->height || at_x < 0 || at_x >= s->width)
              continue;
            in = arena + s->in + ((size_t)at_y * s->width + at_x) * s->in_stride + group * per_group;
            for (channel = 0; channel < per_group; channel++)
              sum += in[channel] < 0 ? -(int32_t)in[channel] : in[channel];
          }
        arena[s->out + ((size_t)y * s->out_width + x) * s->out_stride + group] =
            (nn_value)nn_stored(nn_high(sum, s->shifts[0], s->constants[0][0]));
      }
}
