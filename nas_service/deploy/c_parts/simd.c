/* Differing bits of the patches of `pixels` pixels and of so many outputs' weights as there are lanes; weights lie word by word,
   the lanes side by side. counts: [pixel][NN_LANES]. */
#if defined(NN_AVX512)

#define NN_DOT(lanes, vector, load, store, spread, xor_, count, add, zero)                                                         \
  NN_SPARE void nn_dot_##lanes(const struct nn_patch *patch, const uint32_t *weights, int32_t *counts, unsigned pixels)            \
  {                                                                                                                                \
    unsigned word, row, pixel;                                                                                                     \
    if (pixels == 4) {                                                                                                             \
      vector a = zero(), b = zero(), c = zero(), d = zero();                                                                       \
      for (row = 0; row < patch->rows; row++) {                                                                                    \
        const uint32_t *x0 = patch->bits + row * patch->row, *x1 = x0 + patch->pixel, *x2 = x1 + patch->pixel;                     \
        const uint32_t *x3 = x2 + patch->pixel;                                                                                    \
        for (word = 0; word < patch->words; word++, weights += lanes) {                                                            \
          const vector w = load((const void *)weights);                                                                            \
          a = add(a, count(xor_(w, spread((int)x0[word]))));                                                                       \
          b = add(b, count(xor_(w, spread((int)x1[word]))));                                                                       \
          c = add(c, count(xor_(w, spread((int)x2[word]))));                                                                       \
          d = add(d, count(xor_(w, spread((int)x3[word]))));                                                                       \
        }                                                                                                                          \
      }                                                                                                                            \
      store((void *)counts, a);                                                                                                    \
      store((void *)(counts + NN_LANES), b);                                                                                       \
      store((void *)(counts + 2 * NN_LANES), c);                                                                                   \
      store((void *)(counts + 3 * NN_LANES), d);                                                                                   \
      return;                                                                                                                      \
    }                                                                                                                              \
    for (pixel = 0; pixel < pixels; pixel++) {                                                                                     \
      const uint32_t *w = weights;                                                                                                 \
      vector a = zero();                                                                                                           \
      for (row = 0; row < patch->rows; row++)                                                                                      \
        for (word = 0; word < patch->words; word++, w += lanes)                                                                    \
          a = add(a, count(xor_(load((const void *)w), spread((int)patch->bits[pixel * patch->pixel + row * patch->row + word]))));\
      store((void *)(counts + pixel * NN_LANES), a);                                                                               \
    }                                                                                                                              \
  }

NN_DOT(16, __m512i, _mm512_loadu_si512, _mm512_storeu_si512, _mm512_set1_epi32, _mm512_xor_si512, _mm512_popcnt_epi32,
       _mm512_add_epi32, _mm512_setzero_si512)
NN_DOT(8, __m256i, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_set1_epi32, _mm256_xor_si256, _mm256_popcnt_epi32,
       _mm256_add_epi32, _mm256_setzero_si256)
NN_DOT(4, __m128i, _mm_loadu_si128, _mm_storeu_si128, _mm_set1_epi32, _mm_xor_si128, _mm_popcnt_epi32, _mm_add_epi32,
       _mm_setzero_si128)

#if defined(__GNUC__) && !defined(__clang__)
#define NN_IN_REGISTER(vector) __asm__("" : "+v"(vector)); /* or it is loaded anew for each use */
#else
#define NN_IN_REGISTER(vector)
#endif

/* Four pixels and `blocks` times 16 outputs, whose weights lie `block` words apart: what is loaded serves all of them.
   counts: [pixel][output]. */
NN_INLINE void nn_dot_blocks(const struct nn_patch *patch, const uint32_t *weights, size_t block, unsigned blocks, int32_t *counts)
{
  __m512i sums[16], spread[4];
  unsigned row, word, pixel, at;
  NN_UNROLLED
  for (at = 0; at < 4 * blocks; at++)
    sums[at] = _mm512_setzero_si512();
  for (row = 0; row < patch->rows; row++) {
    const uint32_t *x = patch->bits + row * patch->row;
    for (word = 0; word < patch->words; word++, weights += 16) {
      NN_UNROLLED
      for (pixel = 0; pixel < 4; pixel++)
        spread[pixel] = _mm512_set1_epi32((int)x[pixel * patch->pixel + word]);
      NN_UNROLLED
      for (at = 0; at < blocks; at++) {
        __m512i w = _mm512_loadu_si512((const void *)(weights + at * block));
        NN_IN_REGISTER(w)
        NN_UNROLLED
        for (pixel = 0; pixel < 4; pixel++) {
          const __m512i count = _mm512_popcnt_epi32(_mm512_xor_si512(w, spread[pixel]));
          sums[pixel * blocks + at] = _mm512_add_epi32(sums[pixel * blocks + at], count);
        }
      }
    }
  }
  NN_UNROLLED
  for (at = 0; at < 4 * blocks; at++)
    _mm512_storeu_si512((void *)(counts + at * 16), sums[at]);
}

#elif defined(NN_AVX2)

#define NN_IN_BYTES 31 /* words: a byte counts up to eight bits a word */

static inline __m256i nn_count_bytes(__m256i bits)
{
  const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(bits, nibble));
  return _mm256_add_epi8(low, _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bits, 4), nibble)));
}

static inline __m256i nn_sum_bytes(__m256i bytes)
{
  return _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1)), _mm256_set1_epi16(1));
}

/* Eight lanes, `step` words from one word's to the next. */
static inline void nn_dot_eight(const struct nn_patch *patch, const uint32_t *weights, unsigned step, int32_t *counts, unsigned pixels)
{
  unsigned row, word, end, pixel;
  __m256i sums[4];
  for (pixel = 0; pixel < 4; pixel++)
    sums[pixel] = _mm256_setzero_si256();
  for (row = 0; row < patch->rows; row++)
    for (word = 0; word < patch->words;) {
      const uint32_t *x = patch->bits + row * patch->row;
      const unsigned first = word;
      end = patch->words - word > NN_IN_BYTES ? word + NN_IN_BYTES : patch->words;
      if (pixels == 4) {
        __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
        for (; word < end; word++, weights += step) {
          const __m256i w = _mm256_loadu_si256((const void *)weights);
          a = _mm256_add_epi8(a, nn_count_bytes(_mm256_xor_si256(w, _mm256_set1_epi32((int)x[word]))));
          b = _mm256_add_epi8(b, nn_count_bytes(_mm256_xor_si256(w, _mm256_set1_epi32((int)x[patch->pixel + word]))));
          c = _mm256_add_epi8(c, nn_count_bytes(_mm256_xor_si256(w, _mm256_set1_epi32((int)x[2 * patch->pixel + word]))));
          d = _mm256_add_epi8(d, nn_count_bytes(_mm256_xor_si256(w, _mm256_set1_epi32((int)x[3 * patch->pixel + word]))));
        }
        sums[0] = _mm256_add_epi32(sums[0], nn_sum_bytes(a));
        sums[1] = _mm256_add_epi32(sums[1], nn_sum_bytes(b));
        sums[2] = _mm256_add_epi32(sums[2], nn_sum_bytes(c));
        sums[3] = _mm256_add_epi32(sums[3], nn_sum_bytes(d));
        continue;
      }
      for (pixel = 0; pixel < pixels; pixel++, x += patch->pixel) {
        __m256i a = _mm256_setzero_si256();
        const uint32_t *w = weights;
        for (word = first; word < end; word++, w += step)
          a = _mm256_add_epi8(
              a, nn_count_bytes(_mm256_xor_si256(_mm256_loadu_si256((const void *)w), _mm256_set1_epi32((int)x[word]))));
        sums[pixel] = _mm256_add_epi32(sums[pixel], nn_sum_bytes(a));
      }
      weights += (size_t)(end - first) * step;
      word = end;
    }
  for (pixel = 0; pixel < pixels; pixel++)
    _mm256_storeu_si256((void *)(counts + pixel * NN_LANES), sums[pixel]);
}

NN_SPARE void nn_dot_16(const struct nn_patch *patch, const uint32_t *weights, int32_t *counts, unsigned pixels)
{
  nn_dot_eight(patch, weights, 16, counts, pixels);
  nn_dot_eight(patch, weights + 8, 16, counts + 8, pixels);
}

NN_SPARE void nn_dot_8(const struct nn_patch *patch, const uint32_t *weights, int32_t *counts, unsigned pixels)
{
  nn_dot_eight(patch, weights, 8, counts, pixels);
}

NN_SPARE void nn_dot_4(const struct nn_patch *patch, const uint32_t *weights, int32_t *counts, unsigned pixels)
{
  unsigned row, word, pixel, lane;
  for (pixel = 0; pixel < pixels; pixel++)
    for (lane = 0; lane < 4; lane++) {
      const uint32_t *w = weights + lane;
      int32_t count = 0;
      for (row = 0; row < patch->rows; row++)
        for (word = 0; word < patch->words; word++, w += 4)
          count += __builtin_popcount(patch->bits[pixel * patch->pixel + row * patch->row + word] ^ *w);
      counts[pixel * NN_LANES + lane] = count;
    }
}

#elif defined(NN_NEON)

static inline void nn_dot_lanes(const struct nn_patch *patch, const uint32_t *weights, unsigned lanes, int32_t *counts, unsigned pixels)
{
  unsigned row, word, end, pixel, lane;
  for (lane = 0; lane < lanes; lane += 4)
    for (pixel = 0; pixel < pixels; pixel++) {
      const uint32_t *w = weights + lane;
      uint32x4_t sum = vdupq_n_u32(0);
      for (row = 0; row < patch->rows; row++) {
        const uint32_t *x = patch->bits + pixel * patch->pixel + row * patch->row;
        for (word = 0; word < patch->words;) {
          uint8x16_t bytes = vdupq_n_u8(0);
          end = patch->words - word > 31 ? word + 31 : patch->words;
          for (; word < end; word++, w += lanes)
            bytes = vaddq_u8(bytes, vcntq_u8(vreinterpretq_u8_u32(veorq_u32(vld1q_u32(w), vdupq_n_u32(x[word])))));
          sum = vaddq_u32(sum, vpaddlq_u16(vpaddlq_u8(bytes)));
        }
      }
      vst1q_s32(counts + pixel * NN_LANES + lane, vreinterpretq_s32_u32(sum));
    }
}

NN_SPARE void nn_dot_16(const struct nn_patch *patch, const uint32_t *weights, int32_t *counts, unsigned pixels)
{
  nn_dot_lanes(patch, weights, 16, counts, pixels);
}

NN_SPARE void nn_dot_8(const struct nn_patch *patch, const uint32_t *weights, int32_t *counts, unsigned pixels)
{
  nn_dot_lanes(patch, weights, 8, counts, pixels);
}

NN_SPARE void nn_dot_4(const struct nn_patch *patch, const uint32_t *weights, int32_t *counts, unsigned pixels)
{
  nn_dot_lanes(patch, weights, 4, counts, pixels);
}

#endif
