#if defined(__cplusplus)
#error "network.c is C: compile it as C99; network.h can be included from C++"
#endif
#if !defined(__STDC_VERSION__) || __STDC_VERSION__ < 199901L
#error "network.c is C99: compile it with -std=c99 or a later standard"
#endif

#include "network.h"

#include <float.h>
#include <string.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error "this network's arithmetic must not be reordered: compile without -ffast-math"
#endif
#if defined(__BYTE_ORDER__) && defined(__ORDER_LITTLE_ENDIAN__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "this network's bits are little-endian"
#endif
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 /* 16: float in float, and halves in halves */
#error "float must be computed in float: -msse2 -mfpmath=sse on 32-bit x86"
#endif

/* Vectors, if the compiler may use them: on x86-64 there is always SSE2. -DNN_PORTABLE leaves them all out and counts as a chip
   does. The results are the same. */
#if !defined(NN_PORTABLE) && defined(__AVX512VPOPCNTDQ__) && defined(__AVX512VL__) && defined(__AVX512BW__)
#define NN_AVX512 1
#include <immintrin.h>
#elif !defined(NN_PORTABLE) && defined(__AVX2__)
#define NN_AVX2 1
#include <immintrin.h>
#elif !defined(NN_PORTABLE) && defined(__ARM_NEON) && defined(__aarch64__)
#define NN_NEON 1
#include <arm_neon.h>
#elif !defined(NN_PORTABLE) && defined(__SSE2__) && defined(__GNUC__)
#define NN_SSE2 1
#include <emmintrin.h>
#endif

#if defined(NN_AVX512) || defined(NN_AVX2) || defined(NN_NEON)
#define NN_TILE 4 /* pixels at a time */
#else
#define NN_TILE 1
#endif
#if NN_TILE > 1 || defined(NN_SSE2)
#define NN_VECTORS 1 /* loops over lanes become vectors */
#endif
#define NN_LANES 16 /* outputs at a time */

#if defined(__GNUC__) && !defined(__clang__) && (!defined(__STRICT_ANSI__) || defined(__cplusplus)) && \
    !defined(NN_UNCONTRACTED) && (defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA))
#error "products and sums must not be fused: compile with -std=c99, or with -ffp-contract=off -DNN_UNCONTRACTED"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wpass-failed" /* loops that might be vectorized and are not: below -O2, say */
#endif

#if defined(__GNUC__) && defined(NN_VECTORS)
#define NN_INLINE static inline __attribute__((always_inline))
#else
#define NN_INLINE static
#endif
#if defined(__GNUC__)
#define NN_SPARE static __attribute__((unused))
#define NN_SPARE_INLINE __attribute__((unused))
#else
#define NN_SPARE static
#define NN_SPARE_INLINE
#endif
/* A loop of up to 16 turns whose arrays are registers. */
#if defined(__clang__)
#define NN_UNROLLED _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define NN_UNROLLED _Pragma("GCC unroll 16")
#else
#define NN_UNROLLED
#endif
/* A stage reads and writes each number at one place, so that what one lane writes no other lane reads. */
#if defined(__clang__)
#define NN_LANES_APART _Pragma("clang loop vectorize(assume_safety) unroll(disable)") /* unrolled, they are no vector */
#elif defined(__GNUC__)
#define NN_LANES_APART _Pragma("GCC ivdep")
#else
#define NN_LANES_APART
#endif

/* The bits under the windows of neighbouring pixels: `rows` times `words` words, `row` words from one row to the next, `pixel`
   from one pixel to the next. */
struct nn_patch {
  const uint32_t *bits;
  unsigned rows, words;
  size_t row, pixel;
};
typedef void (*nn_dot)(const struct nn_patch *patch, const uint32_t *weights, int32_t *counts, unsigned pixels);

@NUMBERS@

/* One stage: maps are [pixel][channel], their place in the arena is counted in nn_value. */
struct nn_stage {
  void (*run)(const struct nn_stage *, nn_value *);
  uint32_t in, out, scratch, patch, other[NN_MOST_OTHERS];
  uint16_t in_stride, height, width, channels, out_stride, out_height, out_width, outputs;
  uint16_t other_stride[NN_MOST_OTHERS];
  uint16_t groups, group_bytes, words, other_group;
  int32_t fan_in;
  uint8_t size, stride, padding, dilation, pads_plus, planes;
  const void *weights;
  const nn_value *limits;
  const nn_number *out_limits;
  const uint8_t *flips, *out_flips;
  const int16_t *most, *least;
  nn_dot dot, dot_rest;
  const nn_number *constants[NN_MOST_CONSTANTS];
@FIELDS@
};

