/* A 1-bit network, generated: do not edit. C99; needs memcpy and memset, allocates nothing, keeps nothing between calls. */
#ifndef NN_NETWORK_H
#define NN_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NN_VERSION @VERSION@
#define NN_DIGEST @DIGEST@ /* SHA-256 of weights.safetensors of the bundle that this was made for */

#define NN_HEIGHT @HEIGHT@
#define NN_WIDTH @WIDTH@
#define NN_CHANNELS @CHANNELS@ /* 3: red, green, blue */
#define NN_IMAGE_BYTES (NN_HEIGHT * NN_WIDTH * NN_CHANNELS)
#define NN_CLASSES @CLASSES@
#define NN_CLASS_NAMES {@CLASS_NAMES@}

#define NN_ACTIVATIONS @ACTIVATIONS@ /* of the numbers between layers */
#define NN_ARENA_BYTES @ARENA_BYTES@
#define NN_ARENA_ALIGNMENT 8

#define NN_OK 0
#define NN_MISALIGNED 1 /* the arena does not begin at a multiple of NN_ARENA_ALIGNMENT */

/* Classify an image: rows from above, pixels from the left, a pixel's channels side by side, each 0 to 255 as in the file.
   Mean and standard deviation are inside the network. `arena` is room for NN_ARENA_BYTES that is written over; two calls at a
   time need two. `logits` takes NN_CLASSES numbers, the largest at the class. Returns NN_OK or what is wrong. */
int nn_run(void *arena, const uint8_t *image, float *logits);

/* CRC-32 of all constants, for the self-test; -ffunction-sections -fdata-sections -Wl,--gc-sections leave it out where unused. */
uint32_t nn_checksum(void);

/* What a program that loads the network as a library looks at first; left out where unused, as above. */
extern const struct nn_facts {
  char digest[65]; /* NN_DIGEST, and so on */
  uint32_t arena_bytes, height, width, channels, classes;
} nn_facts;

/* Of selftest.c, where that is compiled in: 0 if this build computes what the network computed where it was made, the number of
   the first image, from 1, whose logits have other bits, or one of these. */
int nn_selftest(void *arena);
#define NN_OTHER_DIGEST (-1) /* network.h was made for other weights */
#define NN_OTHER_CONSTANTS (-2) /* a weight, threshold or factor of network.c is not as it was made */
#define NN_NOT_RUN (-3) /* nn_run refuses: the arena is misaligned */

#ifdef __cplusplus
}
#endif

#endif
