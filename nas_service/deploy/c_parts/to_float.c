/* The float nearest to a sum below 2^56, ties to even, as a conversion of C is: in 32 bits, for processors without one of 64. */
NN_SPARE float nn_to_float(int64_t sum)
{
  const int negative = sum < 0;
  uint64_t left = negative ? 0u - (uint64_t)sum : (uint64_t)sum;
  uint32_t over = (uint32_t)(left >> 24), exponent;
  unsigned shift = 0, step;
  float value, factor;
  for (step = 16; step; step >>= 1)
    if (over >> step) {
      over >>= step;
      shift += step;
    }
  shift += over; /* 1 if a bit is left: how many bits there are beyond 24 */
  if (shift) {
    const uint32_t rest = (uint32_t)left & (0xffffffffu >> (32 - shift)), half = 1u << (shift - 1);
    left >>= shift;
    if (rest > half || (rest == half && (left & 1u)))
      left++;
  }
  exponent = (127u + shift) << 23;
  memcpy(&factor, &exponent, sizeof(factor));
  value = (float)(int32_t)left * factor;
  return negative ? -value : value;
}
