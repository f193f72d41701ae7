static void nn_int8_linear(const struct nn_stage *s, nn_value *arena)
{
  const int8_t *weight = (const int8_t *)s->weights;
  unsigned output, channel;
  for (output = 0; output < s->outputs; output++, weight += s->channels) {
    const float step = s->constants[1][output];
    float sum = s->constants[0][output];
    for (channel = 0; channel < s->channels; channel++) {
      const float factor = (float)weight[channel] * step;
      sum = sum + factor * arena[s->in + channel];
    }
    arena[s->out + output] = sum;
  }
}
