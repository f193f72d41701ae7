static void nn_linear(const struct nn_stage *s, nn_value *arena)
{
  float *logits = (float *)(void *)(arena + s->out);
  const int16_t *weight = (const int16_t *)s->weights;
  unsigned output, channel;
  for (output = 0; output < s->outputs; output++, weight += s->channels) {
    int64_t sum = s->constants[0][output];
    for (channel = 0; channel < s->channels; channel++)
      sum += (int32_t)weight[channel] * arena[s->in + channel];
    logits[output] = nn_to_float(sum) * NN_LOGIT_STEP;
  }
}
