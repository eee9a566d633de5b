// Tables and vectors of a flatbuffer whose bytes are trusted.
#ifndef FIRMWARE_FLATBUFFER_H_
#define FIRMWARE_FLATBUFFER_H_

#include <cstdint>
#include <cstring>

inline uint32_t Read32(const uint8_t* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// The field `number` of a table; nullptr where it is absent.
inline const uint8_t* Field(const uint8_t* table, int number) {
  const uint8_t* vtable = table - static_cast<int32_t>(Read32(table));
  uint16_t bytes, offset;
  std::memcpy(&bytes, vtable, sizeof(bytes));
  if (4 + 2 * number >= bytes) return nullptr;
  std::memcpy(&offset, vtable + 4 + 2 * number, sizeof(offset));
  return offset == 0 ? nullptr : table + offset;
}

// The vector, string or table that a field refers to.
inline const uint8_t* Reference(const uint8_t* table, int number) {
  const uint8_t* field = Field(table, number);
  return field == nullptr ? nullptr : field + Read32(field);
}

// The table that element `index` of a vector refers to.
inline const uint8_t* Element(const uint8_t* vector, uint32_t index) {
  const uint8_t* element = vector + 4 + 4 * index;
  return element + Read32(element);
}

#endif  // FIRMWARE_FLATBUFFER_H_
