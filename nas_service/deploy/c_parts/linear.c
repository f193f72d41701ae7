static void nn_linear(const struct nn_stage *s, nn_value *arena)
{
  unsigned output, channel;
  for (output = 0; output < s->outputs; output++) {
    const float *weight = (const float *)s->weights + (size_t)output * s->channels;
    float sum = s->constants[0][output];
    for (channel = 0; channel < s->channels; channel++)
      sum = sum + weight[channel] * arena[s->in + channel];
    arena[s->out + output] = sum;
  }
}
