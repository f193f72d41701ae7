/* Signs as bits: a bit is (x >= limit), turned over where `flips` says so. */
NN_INLINE void nn_signs(const float *x, const float *limit, unsigned count, const uint8_t *flips, uint8_t *bytes)
{
  unsigned at = 0, bit;
#if defined(NN_AVX512)
  for (; at + 16 <= count; at += 16) {
    uint16_t two = 0;
    if (flips)
      memcpy(&two, flips + at / 8, 2);
    two ^= (uint16_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(x + at), _mm512_loadu_ps(limit + at), _CMP_GE_OQ);
    memcpy(bytes + at / 8, &two, 2);
  }
#endif
#if defined(NN_AVX512) || defined(NN_AVX2)
  for (; at + 8 <= count; at += 8)
    bytes[at / 8] = (uint8_t)(_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x + at), _mm256_loadu_ps(limit + at), _CMP_GE_OQ)) ^
                              (flips ? flips[at / 8] : 0));
#endif
  for (; at < count; at += 8) {
    const unsigned left = count - at < 8 ? count - at : 8;
    unsigned byte = 0;
    for (bit = 0; bit < left; bit++)
      byte |= (unsigned)(x[at + bit] >= limit[at + bit]) << bit;
    bytes[at / 8] = (uint8_t)(byte ^ (flips ? flips[at / 8] : 0u));
  }
}
