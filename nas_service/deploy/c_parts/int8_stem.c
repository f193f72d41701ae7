static void @NAME@(const struct nn_stage *s, nn_value *arena, const uint8_t *image)
{
  const int32_t *means = (const int32_t *)(const void *)s->flips;
  const unsigned taps = (unsigned)s->size * s->size * s->channels;
  int32_t *window = (int32_t *)(void *)(arena + s->scratch);
  unsigned y, x, row, column, channel, output, lane, tap;
  for (y = 0; y < s->out_height; y++)
    for (x = 0; x < s->out_width; x++) {
      int32_t *to = window;
      const int8_t *weight = (const int8_t *)s->weights;
      for (row = 0; row < s->size; row++)
        for (column = 0; column < s->size; column++) {
          const int at_y = (int)(y * s->stride + row) - s->padding, at_x = (int)(x * s->stride + column) - s->padding;
          const int inside = at_y >= 0 && at_y < s->height && at_x >= 0 && at_x < s->width;
          for (channel = 0; channel < s->channels; channel++)
            *to++ = inside ? ((int32_t)image[((size_t)at_y * s->width + at_x) * s->channels + channel] << NN_PIXEL_BITS) - means[channel] : 0;
        }
      for (output = 0; output < s->outputs; output += NN_LANES) {
        const unsigned left = s->outputs - output, lanes = left < NN_LANES ? left : NN_LANES;
        nn_number values[NN_LANES];
#if NN_TILE > 1
        int32_t sums[NN_LANES] = {0};
        for (tap = 0; tap < taps; tap++)
          for (lane = 0; lane < NN_LANES; lane++)
            sums[lane] += weight[tap * NN_LANES + lane] * window[tap];
        for (lane = 0; lane < NN_LANES; lane++)
          values[lane] = (nn_number)sums[lane];
#else
        for (lane = 0; lane < lanes; lane += 4) { /* outputs that fill up the last lanes have weights of 0 */
          const int8_t *at = weight + lane;
          int32_t first = 0, second = 0, third = 0, fourth = 0;
          for (tap = 0; tap < taps; tap++, at += NN_LANES) {
            const int32_t seen = window[tap];
            first += at[0] * seen;
            second += at[1] * seen;
            third += at[2] * seen;
            fourth += at[3] * seen;
          }
          values[lane] = (nn_number)first;
          values[lane + 1] = (nn_number)second;
          values[lane + 2] = (nn_number)third;
          values[lane + 3] = (nn_number)fourth;
        }
#endif
        weight += taps * NN_LANES;
        @TAIL@(s, arena, values, 0, 0, (size_t)y * s->out_width + x, output, lanes);
      }
    }
}
