static uint32_t nn_ones(const uint32_t *words, unsigned count)
{
  uint32_t ones = 0;
  unsigned word;
  for (word = 0; word < count; word++) {
    uint32_t pairs = words[word] - (words[word] >> 1 & 0x55555555u);
    pairs = (pairs & 0x33333333u) + (pairs >> 2 & 0x33333333u);
    ones += (((pairs + (pairs >> 4)) & 0x0f0f0f0fu) * 0x01010101u) >> 24;
  }
  return ones;
}
