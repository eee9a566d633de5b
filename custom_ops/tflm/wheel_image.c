#include "wheel_image.h"

#include <stdlib.h>
#include <string.h>

typedef struct Image {
  SparsesepExternalMemory memory;
  const uint8_t* bytes;
  uint32_t size;
} Image;

static const Image* g_selected;

static bool fetch(void* context, uint32_t offset, uint32_t bytes,
                  void* destination) {
  const Image* image = context;
  if (offset > image->size || bytes > image->size - offset) return false;
  memcpy(destination, image->bytes + offset, bytes);
  return true;
}

void* SparseSepOpenImage(const void* bytes, uint32_t size) {
  Image* image = malloc(sizeof(*image));
  if (image == NULL) return NULL;
  *image = (Image){{image, fetch, NULL, false}, bytes, size};
  return image;
}

void SparseSepSelectImage(void* image) { g_selected = image; }

void SparseSepCloseImage(void* image) { free(image); }

const SparsesepExternalMemory* wheel_selected_image(void) {
  return g_selected == NULL ? NULL : &g_selected->memory;
}
