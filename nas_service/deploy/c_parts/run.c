int nn_run(void *arena, const uint8_t *image, float *logits)
{
  nn_value *maps = (nn_value *)arena;
  size_t stage;
  if ((uintptr_t)arena % NN_ARENA_ALIGNMENT)
    return NN_MISALIGNED;
  @STEM@(&nn_stages[0], maps, image);
  for (stage = 1; stage < sizeof(nn_stages) / sizeof(nn_stages[0]); stage++)
    nn_stages[stage].run(&nn_stages[stage], maps);
  memcpy(logits, maps + @LOGITS@, NN_CLASSES * sizeof(*logits));
  return NN_OK;
}
