typedef int16_t nn_value;  /* in the arena: q stands for q 2^-e, with an e for each map */
typedef int32_t nn_number; /* while a stage computes */

#if (-1 >> 1) != -1
#error "this network's numbers need shifts to the right that keep the sign"
#endif

/* The upper half of (v 2^lift) factor, rounded: nothing on the way has more than 64 bits, nor the result more than 32. */
NN_SPARE_INLINE NN_INLINE int32_t nn_high(int32_t v, unsigned lift, int32_t factor)
{
  return (int32_t)(((int64_t)(int32_t)((uint32_t)v << lift) * factor + 0x80000000) >> 32);
}

NN_SPARE_INLINE NN_INLINE int32_t nn_left(int32_t v, unsigned by)
{
  return (int32_t)((uint32_t)v << by);
}

/* v / 2^by, rounded. */
NN_SPARE_INLINE NN_INLINE int32_t nn_right(int32_t v, unsigned by)
{
  return (v + (((int32_t)1 << by) >> 1)) >> by;
}

NN_SPARE_INLINE NN_INLINE int32_t nn_stored(int32_t v)
{
  return v > 32767 ? 32767 : v < -32768 ? -32768 : v;
}

/* A sum of numbers of 16 bits over their count, rounded: what is divided is never below 0. */
NN_SPARE_INLINE NN_INLINE int32_t nn_mean(int32_t sum, int32_t count)
{
  return (int32_t)((2u * (uint32_t)(sum + 32768 * count) + (uint32_t)count) / (2u * (uint32_t)count)) - 32768;
}
