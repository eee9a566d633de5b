// What is asked of a compiler beyond standard C.
#ifndef SPARSESEP_COMPILER_H_
#define SPARSESEP_COMPILER_H_

// A function that runs once per model: better small than fast.
// One that is called from many places, too, should not be copied into them.
#if defined(__GNUC__)
#define SPARSESEP_COLD __attribute__((cold))
#define SPARSESEP_COLD_SHARED __attribute__((cold, noinline))
// A function that only assembly names: optimization of the whole program must
// neither drop nor rename it.
#define SPARSESEP_USED __attribute__((used))
// Hides that a variable is constant: a multiplication by it stays one where the
// compiler would make a chain of shifts of it, as for Armv6-M.
#define SPARSESEP_HIDE(variable) __asm__("" : "+r"(variable))
#else
#define SPARSESEP_COLD
#define SPARSESEP_COLD_SHARED
#define SPARSESEP_USED
#define SPARSESEP_HIDE(variable)
#endif

#endif  // SPARSESEP_COMPILER_H_
