// What is asked of a compiler beyond standard C.
#ifndef SPARSESEP_COMPILER_H_
#define SPARSESEP_COMPILER_H_

// A function that runs once per model or operator: better small than fast.
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
// A function of assembly alone. It has no room for what -fstack-protector-all
// puts in front.
#if defined(__has_attribute)
#if __has_attribute(no_stack_protector)
#define SPARSESEP_NAKED __attribute__((naked, noinline, no_stack_protector))
#endif
#endif
#ifndef SPARSESEP_NAKED
#define SPARSESEP_NAKED __attribute__((naked, noinline))
#endif
#else
#define SPARSESEP_COLD
#define SPARSESEP_COLD_SHARED
#define SPARSESEP_USED
#define SPARSESEP_HIDE(variable)
#endif

#endif  // SPARSESEP_COMPILER_H_
