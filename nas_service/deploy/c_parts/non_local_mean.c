static void nn_non_local_mean(const struct nn_stage *s, nn_value *arena)
{
  const size_t pixels = (size_t)s->out_height * s->out_width;
  const unsigned channels = s->channels;
  double *moments = (double *)(void *)(arena + s->scratch), energy = 0;
  size_t pixel;
  unsigned row, column;
  for (row = 0; row < channels; row++)
    for (column = 0; column <= row; column++) {
      double sum = 0;
      for (pixel = 0; pixel < pixels; pixel++) {
        const float *in = arena + s->in + pixel * s->in_stride;
        sum += (double)in[row] * (double)in[column];
      }
      moments[row * channels + column] = moments[column * channels + row] = sum;
      energy += row == column ? sum : 0;
    }
  energy = energy < NN_LEAST_ENERGY ? NN_LEAST_ENERGY : energy;
  for (row = 0; row < channels * channels; row++)
    moments[row] = moments[row] / energy;
  for (pixel = 0; pixel < pixels; pixel++) {
    const float *in = arena + s->in + pixel * s->in_stride;
    float *out = arena + s->out + pixel * s->out_stride;
    for (row = 0; row < channels; row++) {
      double sum = 0;
      for (column = 0; column < channels; column++)
        sum += moments[row * channels + column] * (double)in[column];
      out[row] = (float)sum;
    }
  }
}
