// QEMU TCG plugin: counts the instructions executed between two markers.
//
// `mov r9, r9` begins a region, `mov r10, r10` ends it; neither is counted.
// Each region adds one line to the file given as `out=FILE`: the counts per
// class in the order of thumb_class.h. Exact, as QEMU reports each translated
// block that it enters: blocks without a marker are added as a whole, those
// with one instruction by instruction.
//
// One core at a time is assumed. An instruction that is skipped by its
// condition counts, as it does on the bus.
#include "qemu_plugin_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thumb_class.h"

#define MARKER_START 0x46c9  // mov r9, r9
#define MARKER_STOP 0x46d2   // mov r10, r10

typedef struct Counts {
  uint64_t of_class[CLASS_COUNT];
} Counts;

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_API;

static FILE* out;
static Counts executed;
static int in_region;

static void add_block(unsigned int vcpu, void* block) {
  (void)vcpu;
  const Counts* counts = block;
  for (int i = 0; i < CLASS_COUNT; ++i) {
    executed.of_class[i] += counts->of_class[i];
  }
}

static void add_one(unsigned int vcpu, void* counter) {
  (void)vcpu;
  ++*(uint64_t*)counter;
}

static void start_region(unsigned int vcpu, void* unused) {
  (void)vcpu;
  (void)unused;
  memset(&executed, 0, sizeof(executed));
  in_region = 1;
}

static void stop_region(unsigned int vcpu, void* unused) {
  (void)vcpu;
  (void)unused;
  if (!in_region) return;
  in_region = 0;
  for (int i = 0; i < CLASS_COUNT; ++i) {
    fprintf(out, i + 1 < CLASS_COUNT ? "%llu " : "%llu\n",
            (unsigned long long)executed.of_class[i]);
  }
  fflush(out);
}

// The two halfwords of an instruction, the second 0 where QEMU has none. The
// size is a bound only: QEMU can report 4 for a 2-byte instruction at the end
// of a page, because it has looked at the next one.
static void read_halfwords(const struct qemu_plugin_insn* insn,
                           uint16_t halfwords[2]) {
  uint8_t bytes[4] = {0};
  size_t size = qemu_plugin_insn_size(insn);
  if (size > sizeof(bytes)) size = sizeof(bytes);
#if PLUGIN_API >= 3
  qemu_plugin_insn_data(insn, bytes, size);
#else
  memcpy(bytes, qemu_plugin_insn_data(insn), size);
#endif
  halfwords[0] = (uint16_t)(bytes[0] | bytes[1] << 8);
  halfwords[1] = (uint16_t)(bytes[2] | bytes[3] << 8);
}

static void count_each(const struct qemu_plugin_tb* tb) {
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i) {
    struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    uint16_t halfwords[2];
    read_halfwords(insn, halfwords);
    qemu_plugin_vcpu_udata_cb_t callback = add_one;
    void* data = &executed.of_class[thumb_class(halfwords[0], halfwords[1])];
    if (halfwords[0] == MARKER_START) callback = start_region;
    if (halfwords[0] == MARKER_STOP) callback = stop_region;
    qemu_plugin_register_vcpu_insn_exec_cb(insn, callback,
                                           QEMU_PLUGIN_CB_NO_REGS, data);
  }
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
  (void)id;
  // Lives as long as the emulator: QEMU does not say when it drops a block.
  Counts* counts = calloc(1, sizeof(Counts));
  if (counts == NULL) abort();
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i) {
    uint16_t halfwords[2];
    read_halfwords(qemu_plugin_tb_get_insn(tb, i), halfwords);
    if (halfwords[0] == MARKER_START || halfwords[0] == MARKER_STOP) {
      free(counts);
      count_each(tb);
      return;
    }
    ++counts->of_class[thumb_class(halfwords[0], halfwords[1])];
  }
  qemu_plugin_register_vcpu_tb_exec_cb(tb, add_block, QEMU_PLUGIN_CB_NO_REGS,
                                       counts);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                        char** argv) {
  (void)info;
  static const char prefix[] = "out=";
  for (int i = 0; i < argc; ++i) {
    if (strncmp(argv[i], prefix, sizeof(prefix) - 1) == 0) {
      out = fopen(argv[i] + sizeof(prefix) - 1, "w");
    }
  }
  if (out == NULL) {
    fprintf(stderr, "count_instructions: needs out=FILE, a writable file\n");
    return -1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
  return 0;
}
