// The operator that writes each tensor of a graph. A runtime plans memory on
// the assumption that there is one, and that readers follow it.
#ifndef SPARSESEP_DELEGATE_GRAPH_WRITERS_H_
#define SPARSESEP_DELEGATE_GRAPH_WRITERS_H_

#include "graph/operation.h"

// Per tensor of the runtime, in memory from malloc: the position in the
// execution plan of its writer, or one of these.
#define SPARSESEP_NO_WRITER (-1)
#define SPARSESEP_SEVERAL_WRITERS (-2)

// NULL if memory runs out.
int32_t* sparsesep_find_writers(TfLiteContext* context,
                                const TfLiteIntArray* plan);

// Checks for operators that write into the model. Such a constant may share its
// memory with any other.
bool sparsesep_writes_constants(const TfLiteContext* context,
                                const int32_t* writers);

// Checks an operator at `position` of the plan: nothing writes its
// constants, its inputs have at most one writer, which comes first, and its
// output has no other writer.
bool sparsesep_is_written_in_order(const TfLiteContext* context,
                                   const int32_t* writers, int32_t position,
                                   const SparsesepOperation* operation);

#endif  // SPARSESEP_DELEGATE_GRAPH_WRITERS_H_
