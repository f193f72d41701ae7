/* What differing bits are counted in with what every processor has, NN_AT_ONCE outputs at a time. */
#if defined(NN_SSE2)
typedef uint32_t nn_word __attribute__((vector_size(16)));
#define NN_AT_ONCE 4
#define NN_WORD(at) ((nn_word)_mm_loadu_si128((const void *)(at)))
#define NN_PUT(at, count) _mm_storeu_si128((void *)(at), (__m128i)(count))
#define NN_BYTES(sums) ((nn_word)_mm_madd_epi16((__m128i)(((sums) & 0x00ff00ffu) + ((sums) >> 8 & 0x00ff00ffu)), _mm_set1_epi16(1)))
#define NN_BITS(count)                                                                                                             \
  nn_word bits[count];                                                                                                             \
  unsigned word;                                                                                                                   \
  NN_UNROLLED                                                                                                                      \
  for (word = 0; word < count; word++)                                                                                             \
    bits[word] = (nn_word)_mm_set1_epi32((int)patch->bits[word])
#else
typedef uint32_t nn_word;
#define NN_AT_ONCE 1
#define NN_WORD(at) (*(at))
#define NN_PUT(at, count) (*(at) = (int32_t)(count))
#define NN_BYTES(sums) (((sums) * 0x01010101u) >> 24) /* their sum */
#define NN_BITS(count) const uint32_t *bits = patch->bits
#endif
