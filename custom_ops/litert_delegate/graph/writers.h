// Which operator writes each tensor of a graph. A runtime plans memory on the
// assumption that one does, before others read it.
#ifndef SPARSESEP_DELEGATE_GRAPH_WRITERS_H_
#define SPARSESEP_DELEGATE_GRAPH_WRITERS_H_

#include "graph/operation.h"

// Per tensor of the runtime, in memory from malloc: the position in the
// execution plan of the operator that writes it, or one of these.
#define SPARSESEP_NO_WRITER (-1)
#define SPARSESEP_SEVERAL_WRITERS (-2)

// NULL without memory.
int32_t* sparsesep_find_writers(TfLiteContext* context,
                                const TfLiteIntArray* plan);

// Checks an operator at `position` of the plan: nobody writes its constants,
// its inputs have at most one writer, before it, and its output has no other
// writer.
bool sparsesep_is_written_in_order(const TfLiteContext* context,
                                   const int32_t* writers, int32_t position,
                                   const SparsesepOperation* operation);

#endif  // SPARSESEP_DELEGATE_GRAPH_WRITERS_H_
