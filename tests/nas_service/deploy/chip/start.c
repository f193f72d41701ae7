/* Runs a network on images on a Cortex-M as QEMU has one, without a C library's beginning: vectors, memory, semihosting.

   With -icount, time is instructions: SysTick counts them, `calibration` tells how many make a tick. One line an image:
   "image", ticks, logits as bits; all in hexadecimal. */
#include <stdint.h>
#include <string.h>

#include "network.h"

#define SYST_CSR (*(volatile uint32_t *)0xe000e010u)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014u)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018u)
#define CPACR (*(volatile uint32_t *)0xe000ed88u)
#define RELOAD 0xffffffu

extern uint32_t data_source, data_start, data_end, bss_start, bss_end, stack_end;
extern const unsigned image_count;
extern const unsigned char images[];
void reset(void);
void fault(void);
void overflowed(void);

static volatile uint32_t overflows;
static uint64_t arena[NN_ARENA_BYTES / 8 + 1];

static int semihost(int operation, const void *argument)
{
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static void put(const char *text)
{
  semihost(4, text);
}

static void put_number(uint32_t value)
{
  char text[10];
  int digit;
  for (digit = 0; digit < 8; digit++)
    text[digit] = "0123456789abcdef"[value >> (28 - 4 * digit) & 15];
  text[8] = ' ';
  text[9] = 0;
  put(text);
}

static void begin(void)
{
  SYST_CSR = 0;
  SYST_RVR = RELOAD;
  SYST_CVR = 0;
  overflows = 0;
  SYST_CSR = 7;
}

static uint32_t passed(void)
{
  const uint32_t left = SYST_CVR;
  SYST_CSR = 0;
  return overflows * (RELOAD + 1) + (RELOAD - left);
}

static void run_all(void)
{
  unsigned image, output;
  put("calibration ");
  begin();
  __asm__ volatile("ldr r0, =1000000\n1: subs r0, #1\n bne 1b\n" ::: "r0", "cc");
  put_number(passed());
  put("\n");
  for (image = 0; image < image_count; image++) {
    float logits[NN_CLASSES];
    put("image ");
    begin();
    nn_run(arena, images + (size_t)image * NN_IMAGE_BYTES, logits);
    put_number(passed());
    for (output = 0; output < NN_CLASSES; output++) {
      uint32_t bits;
      memcpy(&bits, &logits[output], sizeof(bits));
      put_number(bits);
    }
    put("\n");
  }
}

void reset(void)
{
  uint32_t *to, *from = &data_source;
  CPACR |= 0xfu << 20; /* floating point */
  for (to = &data_start; to < &data_end;)
    *to++ = *from++;
  for (to = &bss_start; to < &bss_end;)
    *to++ = 0;
  run_all();
  semihost(0x18, (void *)0x20026);
  for (;;)
    ;
}

void fault(void)
{
  put("fault\n");
  semihost(0x18, (void *)0x20024);
  for (;;)
    ;
}

void overflowed(void)
{
  overflows++;
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_end, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault, 0, 0, 0, 0, (void *)fault, 0, 0, (void *)fault, (void *)overflowed};
