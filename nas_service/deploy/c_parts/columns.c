/* Of each of NN_LANES channels of a word: how many bits under a window differ from its weights (from 0 without). */
NN_INLINE void nn_columns(const struct nn_stage *s, const uint8_t *seen, const uint32_t *weights, unsigned first, int32_t *counts)
{
  const size_t pixel = s->group_bytes, row_bytes = (s->width + 2u * s->padding) * pixel * s->dilation;
  unsigned row, column;
#if defined(NN_AVX512)
  __m512i sums = _mm512_setzero_si512();
  for (row = 0; row < s->size; row++, seen += row_bytes)
    for (column = 0; column < s->size; column++) {
      uint32_t word;
      memcpy(&word, seen + column * s->dilation * pixel, 4);
      if (weights) {
        word ^= *weights;
        weights += pixel / 4;
      }
      sums = _mm512_mask_sub_epi32(sums, (__mmask16)(word >> first), sums, _mm512_set1_epi32(-1));
    }
  _mm512_storeu_si512((void *)counts, sums);
#elif defined(NN_SSE2)
  const __m128i low = _mm_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128), high = _mm_slli_epi16(low, 8), zero = _mm_setzero_si128();
  __m128i sums[2] = {zero, zero};
  for (row = 0; row < s->size; row++, seen += row_bytes)
    for (column = 0; column < s->size; column++) {
      uint32_t word;
      __m128i bits;
      memcpy(&word, seen + column * s->dilation * pixel, 4);
      if (weights) {
        word ^= *weights;
        weights += pixel / 4;
      }
      bits = _mm_set1_epi16((short)(word >> first));
      sums[0] = _mm_sub_epi16(sums[0], _mm_cmpeq_epi16(_mm_and_si128(bits, low), low));
      sums[1] = _mm_sub_epi16(sums[1], _mm_cmpeq_epi16(_mm_and_si128(bits, high), high));
    }
  for (row = 0; row < 2; row++) {
    _mm_storeu_si128((void *)(counts + 8 * row), _mm_unpacklo_epi16(sums[row], zero));
    _mm_storeu_si128((void *)(counts + 8 * row + 4), _mm_unpackhi_epi16(sums[row], zero));
  }
#else
  uint32_t sums[NN_LEVELS] = {0}; /* 32 counters, a bit of each in every level */
  unsigned level, lane;
  for (row = 0; row < s->size; row++, seen += row_bytes)
    for (column = 0; column < s->size; column++) {
      uint32_t carry;
      memcpy(&carry, seen + column * s->dilation * pixel, 4);
      if (weights) {
        carry ^= *weights;
        weights += pixel / 4;
      }
      for (level = 0; level < NN_LEVELS; level++) {
        const uint32_t both = sums[level] & carry;
        sums[level] ^= carry;
        carry = both;
      }
    }
#if defined(NN_AVX2)
  for (lane = 0; lane < NN_LANES; lane += 8) {
    const __m256i places = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)(first + lane)));
    __m256i all = _mm256_setzero_si256();
    for (level = 0; level < NN_LEVELS; level++) {
      const __m256i bit = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32((int)sums[level]), places), _mm256_set1_epi32(1));
      all = _mm256_add_epi32(all, _mm256_slli_epi32(bit, (int)level));
    }
    _mm256_storeu_si256((__m256i *)(void *)(counts + lane), all);
  }
#else
  for (lane = 0; lane < NN_LANES; lane++) {
    uint32_t count = 0;
    for (level = 0; level < NN_LEVELS; level++)
      count |= (sums[level] >> (first + lane) & 1u) << level;
    counts[lane] = (int32_t)count;
  }
#endif
#endif
}
