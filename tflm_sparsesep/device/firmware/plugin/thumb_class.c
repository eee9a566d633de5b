#include "thumb_class.h"

static int class_16(uint16_t op) {
  if (op >> 11 == 0x09) return CLASS_LOAD;  // LDR literal
  if (op >> 12 == 0x5) {                    // register offset
    return (op >> 9 & 7) < 3 ? CLASS_STORE : CLASS_LOAD;
  }
  if (op >> 12 >= 0x6 && op >> 12 <= 0x9) {  // immediate offset
    return op >> 11 & 1 ? CLASS_LOAD : CLASS_STORE;
  }
  if (op >> 12 == 0xc) return op >> 11 & 1 ? CLASS_LOAD : CLASS_STORE;
  if (op >> 9 == 0x5a) return CLASS_STORE;           // PUSH
  if (op >> 9 == 0x5e) return CLASS_LOAD;            // POP
  if (op >> 6 == 0x10d) return CLASS_MULTIPLY;       // MULS
  if (op >> 8 == 0x47) return CLASS_BRANCH;          // BX, BLX
  if ((op & 0xf500) == 0xb100) return CLASS_BRANCH;  // CBZ, CBNZ
  if (op >> 12 == 0xd) return (op >> 8 & 15) < 14 ? CLASS_BRANCH : CLASS_OTHER;
  if (op >> 11 == 0x1c) return CLASS_BRANCH;  // B
  return CLASS_OTHER;
}

// 0xe800 to 0xe9ff: multiple, dual and exclusive accesses, table branches.
static int class_multiple_or_dual(uint16_t first, uint16_t second) {
  if ((first & 0xfff0) == 0xe8d0 && (second & 0xffe0) == 0xf000) {
    return CLASS_BRANCH;  // TBB, TBH
  }
  return first & 0x10 ? CLASS_LOAD : CLASS_STORE;
}

// 0xec00 and 0xfc00 up: FPU and Helium.
static int class_coprocessor(uint16_t first) {
  if ((first & 0x0e00) != 0x0c00) return CLASS_VECTOR;
  if ((first & 0x0fe0) == 0x0c40) return CLASS_VECTOR;  // VMOV of two registers
  return first & 0x10 ? CLASS_LOAD : CLASS_STORE;
}

static int class_32(uint16_t first, uint16_t second) {
  if ((first & 0xec00) == 0xec00) return class_coprocessor(first);
  if ((first & 0xfe00) == 0xe800) return class_multiple_or_dual(first, second);
  if ((first & 0xf800) == 0xf000) {
    // Immediates, or branches and control: MSR, MRS and hints are no branches.
    if (!(second & 0x8000)) return CLASS_OTHER;
    const int control = !(second & 0x5000) && (first & 0x0380) == 0x0380;
    return control ? CLASS_OTHER : CLASS_BRANCH;
  }
  if ((first & 0xfe00) == 0xf800) {
    return first & 0x10 ? CLASS_LOAD : CLASS_STORE;
  }
  if ((first & 0xff00) == 0xfb00) {
    const int divide = (first & 0xffd0) == 0xfb90;
    return divide ? CLASS_OTHER : CLASS_MULTIPLY;
  }
  return CLASS_OTHER;
}

int thumb_class(uint16_t first, uint16_t second) {
  const int is_16_bits = first >> 11 < 0x1d;
  return is_16_bits ? class_16(first) : class_32(first, second);
}
