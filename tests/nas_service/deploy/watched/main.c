/* Runs a network on images, each in memory of exactly the sizes that network.h states and freed behind it, so that a tool which
   watches memory sees every byte that is touched outside, or read before it was written.

   As a program it takes images from standard input and writes their logits, as they lie in memory; with -DFUZZED it is what
   libFuzzer calls with bytes of its own.
   -DFILLED: the arena is full of zeros, or of what is no number; without, nothing has been written there.
   -DFAULT=...: does something wrong on purpose, which the tool has to see. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"

#define SHORT_ARENA 1
#define UNSET_PIXEL 2
#define OVERFLOW 3
#ifndef FAULT
#define FAULT 0
#endif

static int fault_at = INT_MAX;

/* Image `number` from its bytes; arenas lie at odd multiples of 8 too, and images anywhere. */
static int run_on(const unsigned char *bytes, size_t number, float *logits)
{
  const size_t before_image = number % 4, before_arena = number % 2 * NN_ARENA_ALIGNMENT;
  const size_t arena_bytes = NN_ARENA_BYTES - (FAULT == SHORT_ARENA ? NN_ARENA_BYTES / 4 : 0);
  unsigned char *image_room = malloc(before_image + NN_IMAGE_BYTES), *arena_room = malloc(before_arena + arena_bytes);
  float *made = malloc(NN_CLASSES * sizeof(*made));
  int is_right = image_room && arena_room && made;
  if (is_right) {
    unsigned char *image = image_room + before_image, *arena = arena_room + before_arena;
    memcpy(image, bytes, NN_IMAGE_BYTES - (FAULT == UNSET_PIXEL));
#ifdef FILLED
    memset(arena, number % 2 ? 255 : 0, arena_bytes);
#endif
    if (FAULT == OVERFLOW)
      fault_at += 1;
    is_right = nn_run(arena + 1, image, made) == NN_MISALIGNED && nn_run(arena, image, made) == NN_OK &&
               (FAULT == UNSET_PIXEL || memcmp(image, bytes, NN_IMAGE_BYTES) == 0);
    if (is_right)
      memcpy(logits, made, NN_CLASSES * sizeof(*made));
  }
  free(image_room);
  free(arena_room);
  free(made);
  return is_right;
}

#ifdef FUZZED

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static size_t number;
  unsigned char image[NN_IMAGE_BYTES];
  float logits[NN_CLASSES];
  size_t byte;
  for (byte = 0; byte < NN_IMAGE_BYTES; byte++)
    image[byte] = size ? data[byte % size] : 0;
  if (!run_on(image, number++, logits))
    abort();
  return 0;
}

#else

int main(void)
{
  static unsigned char image[NN_IMAGE_BYTES];
  float logits[NN_CLASSES];
  size_t number;
  for (number = 0; fread(image, 1, NN_IMAGE_BYTES, stdin) == NN_IMAGE_BYTES; number++)
    if (!run_on(image, number, logits) || fwrite(logits, sizeof(*logits), NN_CLASSES, stdout) != NN_CLASSES)
      return 1;
  return fault_at == INT_MAX ? 0 : 2;
}

#endif
