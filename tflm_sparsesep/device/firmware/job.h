// What the host sends to the firmware and what it gets back.
//
// Files in QEMU's working directory, little-endian. `layer_job.py` mirrors the
// job, `emulation.py` the result; the sizes inside them let each side refuse
// the other's version.
//
//   job.bin       of each layer FirmwareJob, options, weights, external
//                 memory, every input with its residual
//   outputs.bin   every output, in the order of the inputs
//   result.bin    FirmwareResult of each layer, up to the first that failed
#ifndef SPARSESEP_FIRMWARE_JOB_H_
#define SPARSESEP_FIRMWARE_JOB_H_

#include <stdint.h>

#define FIRMWARE_JOB_MAGIC 0x334a5353u     // "SSJ3"
#define FIRMWARE_RESULT_MAGIC 0x31525353u  // "SSR1"
#define FIRMWARE_MAX_RANK 6

// How far a layer came.
enum {
  FIRMWARE_STAGE_DONE = 0,
  FIRMWARE_STAGE_JOB,      // job.bin is not what this firmware reads
  FIRMWARE_STAGE_MEMORY,   // the layer does not fit into the board's RAM
  FIRMWARE_STAGE_INIT,     // the operator's init returned NULL
  FIRMWARE_STAGE_PREPARE,  // prepare refused
  FIRMWARE_STAGE_EVAL,     // eval failed
  FIRMWARE_STAGE_OVERRUN,  // eval wrote outside a buffer
};

typedef struct FirmwareShape {
  int32_t rank;
  int32_t dims[FIRMWARE_MAX_RANK];
} FirmwareShape;

enum {
  FIRMWARE_FLASH_OVERLAPS = 1u << 0,    // what is fetched arrives with `wait`
  FIRMWARE_FLASH_IS_TRUSTED = 1u << 1,  // see external_memory.h
};

// The external memory: for firmware that was built with FIRMWARE_PAGING.
typedef struct FirmwareFlash {
  uint32_t bytes;
  uint32_t loops_per_byte;  // an empty loop runs so often for each byte
  uint32_t failing_fetch;   // from 1 on, those of prepare included; 0 is none
  uint32_t flags;           // FIRMWARE_FLASH_*
} FirmwareFlash;

typedef struct FirmwareJob {
  uint32_t magic;
  uint32_t bytes;      // sizeof(FirmwareJob)
  uint32_t following;  // layers behind this one in the file
  uint32_t inputs;
  char op_name[32];  // ends with a NUL
  uint32_t options_bytes;
  uint32_t weights_bytes;
  uint32_t tensor_type;  // SparsesepTensorType of input and output
  uint32_t input_bytes;  // of one input
  uint32_t output_bytes;
  uint32_t residual_bytes;  // of a second input like the output, or 0
  FirmwareShape input_shape;
  FirmwareShape output_shape;
  FirmwareFlash flash;
} FirmwareJob;

typedef struct FirmwareResult {
  uint32_t magic;
  uint32_t bytes;   // sizeof(FirmwareResult)
  uint32_t stage;   // FIRMWARE_STAGE_*
  uint32_t status;  // SparsesepStatus
  uint32_t persistent_bytes;
  uint32_t scratch_bytes;
  uint32_t code_bytes;  // kernels and op core, code and constants
  uint32_t fetches;     // from the external memory, all evaluations and prepare
  uint32_t fetched_bytes;
  char kernel[64];    // which one ran; ends with a NUL
  char message[128];  // why the layer ended early; ends with a NUL
} FirmwareResult;

_Static_assert(sizeof(FirmwareJob) == 144, "the job is a file format");
_Static_assert(sizeof(FirmwareResult) == 228, "the result is a file format");

#endif  // SPARSESEP_FIRMWARE_JOB_H_
