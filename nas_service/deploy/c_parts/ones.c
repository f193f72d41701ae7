static uint32_t nn_ones(const uint32_t *words, const struct nn_patch *patch)
{
  uint32_t ones = 0;
  unsigned row, word;
  for (row = 0; row < patch->rows; row++)
    for (word = 0; word < patch->words; word++) {
    const uint32_t bits = words[row * patch->row + word];
    uint32_t pairs = bits - (bits >> 1 & 0x55555555u);
    pairs = (pairs & 0x33333333u) + (pairs >> 2 & 0x33333333u);
    ones += (((pairs + (pairs >> 4)) & 0x0f0f0f0fu) * 0x01010101u) >> 24;
  }
  return ones;
}
