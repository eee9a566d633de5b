// What is asked of a compiler beyond standard C.
#ifndef SPARSESEP_COMPILER_H_
#define SPARSESEP_COMPILER_H_

// A function that runs once per model: better small than fast.
#if defined(__GNUC__)
#define SPARSESEP_COLD __attribute__((cold))
#else
#define SPARSESEP_COLD
#endif

#endif  // SPARSESEP_COMPILER_H_
