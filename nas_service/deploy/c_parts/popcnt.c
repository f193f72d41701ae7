#define NN_DOT_POPCNT(lanes)                                                                                                       \
  NN_SPARE void nn_dot_##lanes(const struct nn_patch *patch, const uint32_t *weights, int32_t *counts, unsigned pixels)            \
  {                                                                                                                                \
    unsigned lane, word;                                                                                                           \
    (void)pixels;                                                                                                                  \
    for (lane = 0; lane < lanes; lane++) {                                                                                         \
      int32_t count = 0;                                                                                                           \
      for (word = 0; word < patch->words; word++)                                                                                  \
        count += __builtin_popcount(patch->bits[word] ^ weights[word * lanes + lane]);                                             \
      counts[lane] = count;                                                                                                        \
    }                                                                                                                              \
  }
