/* Does this build of network.c compute what the network computed where it was made? Generated: do not edit.

   On a computer: make selftest. In firmware: compile with -DNN_NO_MAIN and call nn_selftest of network.h with the room that nn_run
   gets. It needs neither files nor stdio, and @FLASH@ bytes of constants.
   Images: @ORIGIN@. */
#include "network.h"

#include <string.h>

#ifndef NN_NO_MAIN
#include <stdio.h>
#endif

#define NN_TESTED @COUNT@ /* images */

static const char nn_digest[] = @DIGEST@;
static const uint32_t nn_expected_checksum = @CHECKSUM@u;
static const uint8_t nn_images[NN_TESTED][NN_IMAGE_BYTES] = {@IMAGES@};
static const uint32_t nn_expected[NN_TESTED][NN_CLASSES] = { /* float32, as its bits */@LOGITS@};

/* Returns 0 if all is well, the number of the first image, from 1, whose logits have other bits, or what else is wrong. */
int nn_selftest(void *arena)
{
  int image, output;
  if (sizeof(nn_digest) != sizeof(NN_DIGEST) || memcmp(nn_digest, NN_DIGEST, sizeof(nn_digest)) != 0)
    return NN_OTHER_DIGEST;
  if (nn_checksum() != nn_expected_checksum)
    return NN_OTHER_CONSTANTS;
  for (image = 0; image < NN_TESTED; image++) {
    float logits[NN_CLASSES];
    if (nn_run(arena, nn_images[image], logits) != NN_OK)
      return NN_NOT_RUN;
    for (output = 0; output < NN_CLASSES; output++) {
      uint32_t bits;
      memcpy(&bits, &logits[output], sizeof(bits));
      if (bits != nn_expected[image][output])
        return image + 1;
    }
  }
  return 0;
}

#ifndef NN_NO_MAIN
static uint64_t nn_arena[(NN_ARENA_BYTES + 7) / 8];

int main(void)
{
  const int wrong = nn_selftest(nn_arena);
  if (wrong == 0)
    printf("self-test passed: %d images, the same bits of all %d logits, arena %d bytes\n", NN_TESTED, NN_CLASSES, NN_ARENA_BYTES);
  else if (wrong == NN_OTHER_DIGEST)
    printf("self-test FAILED: network.h was made for other weights (%s)\n", NN_DIGEST);
  else if (wrong == NN_OTHER_CONSTANTS)
    printf("self-test FAILED: the constants of network.c are not those that were written\n");
  else if (wrong == NN_NOT_RUN)
    printf("self-test FAILED: nn_run refuses\n");
  else
    printf("self-test FAILED: the logits of image %d differ: is the compiler allowed to reorder or fuse float arithmetic?\n", wrong);
  return wrong != 0;
}
#endif
