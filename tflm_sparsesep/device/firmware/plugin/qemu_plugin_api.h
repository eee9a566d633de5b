// The part of QEMU's TCG plugin interface that the counter uses.
//
// Declared here because distributions ship QEMU with plugins enabled but
// without the header. Names and types are QEMU's ABI: "QEMU TCG Plugins" in
// its developer documentation. PLUGIN_API is the interface version to ask for:
// 1 up to QEMU 8.2, 2 in 9.0, 3 from 9.1 on.
#ifndef SPARSESEP_QEMU_PLUGIN_API_H_
#define SPARSESEP_QEMU_PLUGIN_API_H_

#include <stddef.h>
#include <stdint.h>

#define PLUGIN_EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS = 0 };

typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t id,
                                               struct qemu_plugin_tb* tb);
typedef void (*qemu_plugin_vcpu_udata_cb_t)(unsigned int vcpu, void* data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           qemu_plugin_vcpu_tb_trans_cb_t cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb* tb,
                                          qemu_plugin_vcpu_udata_cb_t cb,
                                          enum qemu_plugin_cb_flags flags,
                                          void* data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn* insn,
                                            qemu_plugin_vcpu_udata_cb_t cb,
                                            enum qemu_plugin_cb_flags flags,
                                            void* data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* tb);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(
    const struct qemu_plugin_tb* tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn* insn);
#if PLUGIN_API >= 3
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn* insn, void* to,
                             size_t bytes);
#else
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn* insn);
#endif

extern PLUGIN_EXPORT int qemu_plugin_version;
PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
                                      const qemu_info_t* info, int argc,
                                      char** argv);

#endif  // SPARSESEP_QEMU_PLUGIN_API_H_
