// A file is written under another name and then renamed, so that readers never
// see half of one; a checksum says that it is whole. Drivers trust the binaries
// that they load, so only regular files of this user that nobody else can write
// are read, and links are not followed.
#include "opencl/cache_file.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delegate_options.h"

#define MAX_FILE_BYTES (64u << 20)
#define NAME_LENGTH (2 * SPARSESEP_OPTION_LENGTH)
#define FNV_PRIME 0x100000001b3u

typedef struct FileHead {
  uint64_t key;
  uint64_t bytes;
  uint64_t checksum;
} FileHead;

uint64_t sparsesep_hash(uint64_t state, const char* text) {
  for (; *text != '\0'; ++text) {
    state = (state ^ (uint8_t)*text) * FNV_PRIME;
  }
  return (state ^ 0xff) * FNV_PRIME;
}

static uint64_t checksum(const uint8_t* bytes, size_t count) {
  uint64_t state = SPARSESEP_HASH_START;
  for (size_t i = 0; i < count; ++i) state = (state ^ bytes[i]) * FNV_PRIME;
  return state;
}

static void file_name(const char* folder, uint64_t key, const char* kind,
                      char* name) {
  snprintf(name, NAME_LENGTH, "%s/sparsesep_%016llx.%s", folder,
           (unsigned long long)key, kind);
}

static uint8_t* read_file(FILE* file, uint64_t key, size_t* count) {
  FileHead head;
  if (fread(&head, sizeof(head), 1, file) != 1 || head.key != key ||
      head.bytes == 0 || head.bytes > MAX_FILE_BYTES) {
    return NULL;
  }
  uint8_t* bytes = malloc(head.bytes);
  if (bytes == NULL) return NULL;
  *count = head.bytes;
  if (fread(bytes, 1, head.bytes, file) == head.bytes &&
      checksum(bytes, head.bytes) == head.checksum) {
    return bytes;
  }
  free(bytes);
  return NULL;
}

static bool is_trusted(int file) {
  struct stat status;
  return fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
         status.st_uid == geteuid() &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// Opening a FIFO without O_NONBLOCK waits for its writer.
static FILE* open_to_read(const char* name) {
  const int file = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return NULL;
  FILE* stream = is_trusted(file) ? fdopen(file, "rb") : NULL;
  if (stream == NULL) close(file);
  return stream;
}

// A new file, or NULL: one of this name may be another user's trap.
static FILE* open_to_write(const char* name) {
  const int file =
      open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
           S_IRUSR | S_IWUSR);
  if (file < 0) return NULL;
  FILE* stream = fdopen(file, "wb");
  if (stream == NULL) close(file);
  return stream;
}

uint8_t* sparsesep_read_cache_file(const char* folder, uint64_t key,
                                   const char* kind, size_t* count) {
  char name[NAME_LENGTH];
  if (folder[0] == '\0') return NULL;
  file_name(folder, key, kind, name);
  FILE* file = open_to_read(name);
  if (file == NULL) return NULL;
  uint8_t* bytes = read_file(file, key, count);
  fclose(file);
  return bytes;
}

void sparsesep_write_cache_file(const char* folder, uint64_t key,
                                const char* kind, const void* bytes,
                                size_t count) {
  char name[NAME_LENGTH];
  char temporary[NAME_LENGTH];
  char other_kind[64];
  if (folder[0] == '\0' || count == 0 || count > MAX_FILE_BYTES) return;
  // The name is unique among processes and threads that write the same
  // file.
  snprintf(other_kind, sizeof(other_kind), "%s.%ld.%p", kind, (long)getpid(),
           (const void*)&name);
  file_name(folder, key, kind, name);
  file_name(folder, key, other_kind, temporary);
  const FileHead head = {key, count, checksum(bytes, count)};
  FILE* file = open_to_write(temporary);
  if (file == NULL) return;
  const bool written = fwrite(&head, sizeof(head), 1, file) == 1 &&
                       fwrite(bytes, 1, count, file) == count;
  if (fclose(file) != 0 || !written || rename(temporary, name) != 0) {
    remove(temporary);
  }
}
