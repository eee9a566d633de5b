// Instruction sets of this build. A file with an ISA suffix is empty where its
// macro is 0, so that a build may simply compile every file.
#ifndef SPARSESEP_COMMON_ISA_H_
#define SPARSESEP_COMMON_ISA_H_

// Any other than the ones below.
#define SPARSESEP_ISA_GENERIC 0
// x86-64: what goes beyond its baseline is asked for at run time (x86.h).
#define SPARSESEP_ISA_X86 1
// 64-bit Arm Linux and Android.
#define SPARSESEP_ISA_NEON 2
// Armv6-M (M0, M0+) and the baseline of Armv8-M (M23): Thumb-1, eight low
// registers, 32-bit products.
#define SPARSESEP_ISA_V6M 3
// Armv7-M and what builds upon it (M3; M4, M7, M33, M55).
#define SPARSESEP_ISA_V7M 4
// Armv7E-M or Armv8-M DSP extension: SMLAD, SXTB16, UXTAB (M4, M7, M33; M55).
#define SPARSESEP_ISA_DSP 5
// A core with Helium, but a build without optimization: the kernels for Helium
// hold more in registers than such a build leaves them.
#define SPARSESEP_ISA_MVE_UNUSED 6
// Helium, integers only (M55).
#define SPARSESEP_ISA_MVE 7
// Helium with floats (M55).
#define SPARSESEP_ISA_MVE_FLOAT 8

#if defined(__ARM_FEATURE_MVE) && !defined(__OPTIMIZE__)
#define SPARSESEP_ISA SPARSESEP_ISA_MVE_UNUSED
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
#define SPARSESEP_ISA SPARSESEP_ISA_MVE_FLOAT
#elif defined(__ARM_FEATURE_MVE)
#define SPARSESEP_ISA SPARSESEP_ISA_MVE
#elif defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && \
    defined(__ARM_FEATURE_DSP)
#define SPARSESEP_ISA SPARSESEP_ISA_DSP
#elif defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && \
    defined(__thumb2__)
#define SPARSESEP_ISA SPARSESEP_ISA_V7M
#elif defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define SPARSESEP_ISA SPARSESEP_ISA_V6M
#elif defined(__ARM_NEON) && defined(__aarch64__)
#define SPARSESEP_ISA SPARSESEP_ISA_NEON
#elif defined(__x86_64__) && defined(__GNUC__)
#define SPARSESEP_ISA SPARSESEP_ISA_X86
#else
#define SPARSESEP_ISA SPARSESEP_ISA_GENERIC
#endif

#define SPARSESEP_HAS_X86 (SPARSESEP_ISA == SPARSESEP_ISA_X86)
#define SPARSESEP_HAS_NEON (SPARSESEP_ISA == SPARSESEP_ISA_NEON)
#define SPARSESEP_HAS_V6M (SPARSESEP_ISA == SPARSESEP_ISA_V6M)
#define SPARSESEP_HAS_V7M (SPARSESEP_ISA >= SPARSESEP_ISA_V7M)
#define SPARSESEP_HAS_DSP (SPARSESEP_ISA >= SPARSESEP_ISA_DSP)
#define SPARSESEP_HAS_MVE (SPARSESEP_ISA >= SPARSESEP_ISA_MVE)
#define SPARSESEP_HAS_MVE_FLOAT (SPARSESEP_ISA == SPARSESEP_ISA_MVE_FLOAT)

// Kernels whose layouts or frames cores with Helium have in other forms.
#define SPARSESEP_HAS_DSP_LAYOUTS (SPARSESEP_ISA == SPARSESEP_ISA_DSP)

#endif  // SPARSESEP_COMMON_ISA_H_
