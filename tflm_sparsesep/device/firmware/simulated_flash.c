#include "simulated_flash.h"

#include <string.h>

#include "core/paged_fully_connected_op.h"
#include "core/paged_sparse_conv_2d_op.h"

typedef struct Transfer {
  uint32_t offset;
  uint32_t bytes;
  void* destination;
} Transfer;

static const FirmwareFlash* flash;
static const uint8_t* contents;
static FirmwareResult* counts;
static Transfer transfer;  // under way, where the memory overlaps
static SparsesepExternalMemory memory;

static void be_slow(uint32_t bytes) {
  for (uint32_t n = bytes * flash->loops_per_byte; n > 0; --n) {
    __asm__ volatile("" ::: "memory");
  }
}

static bool deliver(const Transfer* t) {
  ++counts->fetches;
  counts->fetched_bytes += t->bytes;
  be_slow(t->bytes);
  if (counts->fetches == flash->failing_fetch || t->offset > flash->bytes ||
      t->bytes > flash->bytes - t->offset) {
    return false;
  }
  memcpy(t->destination, contents + t->offset, t->bytes);
  return true;
}

static bool fetch(void* context, uint32_t offset, uint32_t bytes,
                  void* destination) {
  (void)context;
  transfer = (Transfer){offset, bytes, destination};
  return memory.wait != NULL || deliver(&transfer);
}

static bool wait(void* context) {
  (void)context;
  return deliver(&transfer);
}

void simulated_flash_open(const FirmwareFlash* settings, const uint8_t* image,
                          FirmwareResult* result) {
  flash = settings;
  contents = image;
  counts = result;
  memory.fetch = fetch;
  memory.wait = settings->flags & FIRMWARE_FLASH_OVERLAPS ? wait : NULL;
  memory.is_trusted = (settings->flags & FIRMWARE_FLASH_IS_TRUSTED) != 0;
}

void* simulated_flash_init(const SparsesepHost* host, const void* options,
                           size_t options_bytes) {
  return sparsesep_paged_fully_connected_init(host, options, options_bytes,
                                              &memory);
}

SparsesepStatus simulated_flash_eval(const SparsesepHost* host,
                                     const void* op_data) {
  return sparsesep_paged_fully_connected_eval(host, (void*)op_data);
}

void* simulated_flash_conv_init(const SparsesepHost* host, const void* options,
                                size_t options_bytes) {
  return sparsesep_paged_sparse_conv_init(host, options, options_bytes,
                                          &memory);
}

SparsesepStatus simulated_flash_conv_eval(const SparsesepHost* host,
                                          const void* op_data) {
  return sparsesep_paged_sparse_conv_eval(host, (void*)op_data);
}
