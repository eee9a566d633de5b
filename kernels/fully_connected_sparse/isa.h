// Instruction sets of this build. A file with an ISA suffix is empty where its
// macro is 0, so that a build may simply compile every file.
#ifndef SPARSESEP_FULLY_CONNECTED_ISA_H_
#define SPARSESEP_FULLY_CONNECTED_ISA_H_

// Armv6-M (M0, M0+): Thumb-1, eight low registers, 32-bit products.
#if defined(__ARM_ARCH_6M__)
#define SPARSESEP_HAS_V6M 1
#else
#define SPARSESEP_HAS_V6M 0
#endif

// Armv7-M and what builds upon it (M3, M4, M7, M33, M55).
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && \
    defined(__thumb2__)
#define SPARSESEP_HAS_V7M 1
#else
#define SPARSESEP_HAS_V7M 0
#endif

// Armv7E-M or Armv8-M DSP extension: SMLAD, SXTB16, UXTAB (M4, M7, M33, M55).
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && \
    __ARM_ARCH_PROFILE == 'M'
#define SPARSESEP_HAS_DSP 1
#else
#define SPARSESEP_HAS_DSP 0
#endif

// Helium, integer at least (M55). Its kernels hold more in registers than code
// built without optimisation leaves them.
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && \
    defined(__OPTIMIZE__)
#define SPARSESEP_HAS_MVE 1
#else
#define SPARSESEP_HAS_MVE 0
#endif

// Layouts made for the DSP extension, which take the place of others there. A
// core with Helium (M55) has its own, optimised or not.
#if SPARSESEP_HAS_DSP && !defined(__ARM_FEATURE_MVE)
#define SPARSESEP_HAS_DSP_LAYOUTS 1
#else
#define SPARSESEP_HAS_DSP_LAYOUTS 0
#endif

// Helium with floats.
#if SPARSESEP_HAS_MVE && (__ARM_FEATURE_MVE & 2)
#define SPARSESEP_HAS_MVE_FLOAT 1
#else
#define SPARSESEP_HAS_MVE_FLOAT 0
#endif

// Layouts made for Helium have portable twins where tests or unoptimised builds
// need them; other cores leave them out.
#if !SPARSESEP_HAS_MVE && \
    (defined(__ARM_FEATURE_MVE) || !(SPARSESEP_HAS_V6M || SPARSESEP_HAS_V7M))
#define SPARSESEP_HAS_HELIUM_TWINS 1
#else
#define SPARSESEP_HAS_HELIUM_TWINS 0
#endif

// 64-bit Arm Linux and Android.
#if defined(__ARM_NEON) && defined(__aarch64__)
#define SPARSESEP_HAS_NEON 1
#else
#define SPARSESEP_HAS_NEON 0
#endif

#endif  // SPARSESEP_FULLY_CONNECTED_ISA_H_
