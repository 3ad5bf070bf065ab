/* cpu.h - which vector instructions this machine has, found out once.
 *
 * Kernels that need speed come in several variants with equal results; they ask here which one may run.
 */
#ifndef SV_BASE_CPU_H
#define SV_BASE_CPU_H

#include <stdbool.h>

/* x86-64 with AVX2, and an operating system that saves its registers. */
bool sv_cpu_avx2(void);
/* AArch64: always there. */
bool sv_cpu_neon(void);

/* Turns the variants off (and on again), so that tests can compare them with plain C. Not for use while other threads run kernels. */
void sv_cpu_plain(bool plain);

#endif
