static void nn_int8_linear(const struct nn_stage *s, nn_value *arena)
{
  float *logits = (float *)(void *)(arena + s->out);
  const float *steps = (const float *)(const void *)s->constants[1];
  const int8_t *weight = (const int8_t *)s->weights;
  unsigned output, channel;
  for (output = 0; output < s->outputs; output++, weight += s->channels) {
    int64_t sum = s->constants[0][output];
    for (channel = 0; channel < s->channels; channel++)
      sum += (int32_t)weight[channel] * arena[s->in + channel];
    logits[output] = nn_to_float(sum) * steps[output];
  }
}
