/* Signs as bits: a bit is (x >= limit), turned over where `flips` says so. */
#define NN_SIGNS(name, type)                                                                                                       \
  NN_SPARE void name(const type *x, const type *limit, unsigned count, const uint8_t *flips, uint8_t *bytes)                       \
  {                                                                                                                                \
    unsigned at, bit;                                                                                                              \
    for (at = 0; at < count; at += 8) {                                                                                            \
      const unsigned left = count - at < 8 ? count - at : 8;                                                                       \
      unsigned byte = 0;                                                                                                           \
      for (bit = 0; bit < left; bit++)                                                                                             \
        byte |= (unsigned)(x[at + bit] >= limit[at + bit]) << bit;                                                                 \
      bytes[at / 8] = (uint8_t)(byte ^ (flips ? flips[at / 8] : 0u));                                                              \
    }                                                                                                                              \
  }
NN_SIGNS(nn_signs, nn_value)
NN_SIGNS(nn_signs_of_numbers, nn_number)
