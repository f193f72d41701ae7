/* The smallest beginning of a program on QEMU's mps2-an386 (Cortex-M4): vectors, floating point on, then newlib's own start. */
#include <stdint.h>

extern void _start(void);
void reset(void);

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[] = {0x20400000u, (uintptr_t)reset};

void reset(void)
{
  *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20; /* CPACR: coprocessors 10 and 11 */
  _start();
}
