static void @NAME@(const struct nn_stage *s, nn_value *arena, const uint8_t *image)
{
  const int32_t *means = (const int32_t *)(const void *)s->flips;
  const unsigned taps = (unsigned)s->size * s->size * s->channels;
  int32_t *window = (int32_t *)(void *)(arena + s->scratch);
  unsigned y, x, row, column, channel, output, lane, tap;
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++) {
      int32_t *to = window;
      const int32_t *weight = (const int32_t *)s->weights;
      for (row = 0; row < s->size; row++)
        for (column = 0; column < s->size; column++) {
          const int at_y = (int)(y * s->stride + row) - s->padding, at_x = (int)(x * s->stride + column) - s->padding;
          const int inside = at_y >= 0 && at_y < s->height && at_x >= 0 && at_x < s->width;
          for (channel = 0; channel < s->channels; channel++)
            *to++ = inside ? ((int32_t)image[((size_t)at_y * s->width + at_x) * s->channels + channel] << NN_PIXEL_BITS) - means[channel] : 0;
        }
      for (output = 0; output < s->outputs; output += NN_LANES, weight += taps * NN_LANES) {
        const unsigned left = s->outputs - output, lanes = left < NN_LANES ? left : NN_LANES;
        int32_t values[NN_LANES];
        for (lane = 0; lane < lanes; lane++) {
          int64_t sum = ((int64_t)1 << NN_STEM_SHIFT) >> 1;
          for (tap = 0; tap < taps; tap++)
            sum += (int64_t)weight[tap * NN_LANES + lane] * window[tap];
          values[lane] = (int32_t)(sum >> NN_STEM_SHIFT);
        }
        @TAIL@(s, arena, values, 0, 0, (size_t)y * s->out_width + x, output, lanes);
      }
    }
}
