typedef float nn_value, nn_number; /* in the arena, and while a stage computes */

/* v where v > 0, else `other`: without a branch where lanes are computed side by side. */
NN_INLINE NN_SPARE_INLINE float nn_positive_or(float v, float other)
{
#if defined(NN_VECTORS) && !defined(NN_AVX512) /* which has masks of its own */
  uint32_t kept, bits;
  const uint32_t mask = 0u - (uint32_t)(v > 0.0f);
  memcpy(&kept, &v, sizeof(kept));
  memcpy(&bits, &other, sizeof(bits));
  kept = (kept & mask) | (bits & ~mask);
  memcpy(&v, &kept, sizeof(v));
  return v;
#else
  return v > 0.0f ? v : other;
#endif
}
