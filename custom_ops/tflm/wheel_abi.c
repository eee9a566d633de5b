#define _GNU_SOURCE  // dladdr, RTLD_NOLOAD
#include "wheel_abi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUILTIN_CUSTOM 32
#define BUILTIN_PRELU 54
#define MAX_RESOLVER_SIZE 4096

// Itanium C++ ABI: std::type_info of a class with one public base.
typedef struct TypeInfo {
  const void* vtable;
  const char* name;
  const struct TypeInfo* base;
} TypeInfo;

typedef const WheelRegistration* (*FindByCode)(const void* resolver, int code);
typedef const WheelRegistration* (*FindByName)(const void* resolver,
                                               const char* name);

// A recognized MicroMutableOpResolver<capacity>.
typedef struct Resolver {
  FindByCode find_code;
  FindByName find_name;
  WheelRegistration* registrations;
  uint32_t* count;
  uint32_t capacity;
} Resolver;

// The two generations of names: TFLM shared TfLite's global types until
// September 2026, and has had its own under tflite::micro since October.
typedef struct Symbols {
  const char* resolver_prefix;  // of the RTTI name of the resolver's base
  const char* allocate_persistent;
  const char* request_scratch;
  const char* get_scratch;
  const char* get_input;
  const char* get_output;
  const char* type_name;
  const char* tensor_shape;
  const char* tensor_bytes;
  const char* prelu_init;
  const char* prelu_prepare;
  const char* prelu_eval;
} Symbols;

static const Symbols kGenerations[] = {
    {
        "N6tflite22MicroMutableOpResolverILj",
        "_ZN6tflite36MicroContextAllocatePersistentBufferEP13TfLiteContextm",
        "_ZN6tflite39MicroContextRequestScratchBufferInArenaEP13TfLiteContext"
        "mPi",
        "_ZN6tflite28MicroContextGetScratchBufferEP13TfLiteContexti",
        "_ZN6tflite5micro12GetEvalInputEPK13TfLiteContextPK10TfLiteNodei",
        "_ZN6tflite5micro13GetEvalOutputEPK13TfLiteContextPK10TfLiteNodei",
        "TfLiteTypeGetName",
        "_ZN6tflite5micro14GetTensorShapeEPK16TfLiteEvalTensor",
        "_ZN6tflite26TfLiteEvalTensorByteLengthEPK16TfLiteEvalTensorPm",
        "_ZN6tflite5micro9PreluInitEP13TfLiteContextPKcm",
        "_ZN6tflite5micro12PreluPrepareEP13TfLiteContextP10TfLiteNode",
        "_ZN6tflite5micro9PreluEvalEP13TfLiteContextP10TfLiteNode",
    },
    {
        "N6tflite5micro22MicroMutableOpResolverILj",
        "_ZN6tflite5micro36MicroContextAllocatePersistentBufferEPNS0_"
        "13TfLiteContextEm",
        "_ZN6tflite5micro39MicroContextRequestScratchBufferInArenaEPNS0_"
        "13TfLiteContextEmPi",
        "_ZN6tflite5micro28MicroContextGetScratchBufferEPNS0_"
        "13TfLiteContextEi",
        "_ZN6tflite5micro12GetEvalInputEPKNS0_13TfLiteContextEPKNS0_"
        "10TfLiteNodeEi",
        "_ZN6tflite5micro13GetEvalOutputEPKNS0_13TfLiteContextEPKNS0_"
        "10TfLiteNodeEi",
        "_ZN6tflite5micro17TfLiteTypeGetNameENS0_10TfLiteTypeE",
        "_ZN6tflite5micro14GetTensorShapeEPKNS0_16TfLiteEvalTensorE",
        "_ZN6tflite5micro26TfLiteEvalTensorByteLengthEPKNS0_"
        "16TfLiteEvalTensorEPm",
        "_ZN6tflite5micro9PreluInitEPNS0_13TfLiteContextEPKcm",
        "_ZN6tflite5micro12PreluPrepareEPNS0_13TfLiteContextEPNS0_"
        "10TfLiteNodeE",
        "_ZN6tflite5micro9PreluEvalEPNS0_13TfLiteContextEPNS0_10TfLiteNodeE",
    },
};

// ISO C has no cast from an object pointer to a function pointer; POSIX
// promises that both have one representation.
static bool find_function(void* module, const char* name, void* function) {
  void* const address = dlsym(module, name);
  if (address == NULL) return false;
  memcpy(function, &address, sizeof(address));
  return true;
}

// The loaded library that holds `address`, or NULL. dlopen only counts a
// reference here: the wheel stays loaded as long as Python runs anyway.
static void* module_of(const void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0 || info.dli_fname == NULL) return NULL;
  return dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
}

// The RTTI name of the base class of `resolver`, which holds the resolver's
// capacity, or NULL where `resolver` is no PythonOpsResolver of `module`.
static const char* resolver_base_name(void* module, const void* resolver) {
  const void* const* vtable = *(const void* const* const*)resolver;
  const void* const* symbol = dlsym(module, "_ZTVN6tflite17PythonOpsResolverE");
  // A vtable symbol begins with the offset to top and the type info.
  if (symbol == NULL || vtable != symbol + 2) return NULL;
  const TypeInfo* type = symbol[1];
  if ((const void*)type != dlsym(module, "_ZTIN6tflite17PythonOpsResolverE")) {
    return NULL;
  }
  const void* const* single_base =
      dlsym(module, "_ZTVN10__cxxabiv120__si_class_type_infoE");
  if (single_base == NULL || type->vtable != (const void*)(single_base + 2)) {
    return NULL;
  }
  char base_symbol[128];
  const int length =
      snprintf(base_symbol, sizeof(base_symbol), "_ZTI%s", type->base->name);
  if (length < 0 || (size_t)length >= sizeof(base_symbol)) return NULL;
  if ((const void*)type->base != dlsym(module, base_symbol)) return NULL;
  return type->base->name;
}

// Reads capacity and generation out of "<prefix><capacity>EEE".
static const Symbols* parse_base_name(const char* name, uint32_t* capacity) {
  for (size_t i = 0; i < sizeof(kGenerations) / sizeof(*kGenerations); ++i) {
    const size_t prefix = strlen(kGenerations[i].resolver_prefix);
    if (strncmp(name, kGenerations[i].resolver_prefix, prefix) != 0) continue;
    char* end = NULL;
    const unsigned long value = strtoul(name + prefix, &end, 10);
    if (strcmp(end, "EEE") != 0 || value == 0 || value > MAX_RESOLVER_SIZE) {
      return NULL;
    }
    *capacity = (uint32_t)value;
    return &kGenerations[i];
  }
  return NULL;
}

// Takes the two FindOp from the vtable, and only if they are what the
// library exports under these names.
static bool resolver_methods(void* module, const void* resolver,
                             const char* base_name, Resolver* out) {
  char symbol[128];
  const char* stem = base_name + 1;  // without the N and E of a nested name
  const int length = (int)strlen(base_name) - 2;
  snprintf(symbol, sizeof(symbol), "_ZNK%.*s6FindOpENS_15BuiltinOperatorE",
           length, stem);
  if (!find_function(module, symbol, &out->find_code)) return false;
  snprintf(symbol, sizeof(symbol), "_ZNK%.*s6FindOpEPKc", length, stem);
  if (!find_function(module, symbol, &out->find_name)) return false;
  const void* const* vtable = *(const void* const* const*)resolver;
  return memcmp(&vtable[0], &out->find_code, sizeof(void*)) == 0 &&
         memcmp(&vtable[1], &out->find_name, sizeof(void*)) == 0;
}

// True if the resolver finds every registration exactly where we take it to
// be. That proves the array's place and stride, the count and builtin_code.
static bool resolver_layout_is_known(const void* resolver,
                                     const Resolver* view) {
  if (*view->count == 0 || *view->count > view->capacity) return false;
  for (uint32_t i = 0; i < *view->count; ++i) {
    const WheelRegistration* entry = &view->registrations[i];
    const WheelRegistration* found =
        entry->builtin_code == BUILTIN_CUSTOM
            ? view->find_name(resolver, entry->custom_name)
            : view->find_code(resolver, entry->builtin_code);
    if (found != entry) return false;
  }
  return true;
}

// True if the fields of a known operator hold that operator's functions.
static bool registration_layout_is_known(void* module, const void* resolver,
                                         const Resolver* view,
                                         const Symbols* names) {
  const WheelRegistration* prelu = view->find_code(resolver, BUILTIN_PRELU);
  WheelRegistration expected = {0};
  if (prelu == NULL ||
      !find_function(module, names->prelu_init, &expected.init) ||
      !find_function(module, names->prelu_prepare, &expected.prepare) ||
      !find_function(module, names->prelu_eval, &expected.invoke)) {
    return false;
  }
  return prelu->init == expected.init && prelu->free == NULL &&
         prelu->prepare == expected.prepare &&
         prelu->invoke == expected.invoke && prelu->reset == NULL;
}

static const char* open_resolver(void* resolver, void** module,
                                 const Symbols** names, Resolver* view) {
  if (resolver == NULL) return "no resolver given";
  *module = module_of(*(const void* const*)resolver);
  if (*module == NULL) return "its library is not found";
  const char* base_name = resolver_base_name(*module, resolver);
  if (base_name == NULL) return "its resolver is no PythonOpsResolver";
  *names = parse_base_name(base_name, &view->capacity);
  if (*names == NULL) return "its resolver has an unknown base class";
  if (!resolver_methods(*module, resolver, base_name, view)) {
    return "its resolver has unknown methods";
  }
  // class layout: vtable, TFLMRegistration[capacity], count, ...
  view->registrations = (WheelRegistration*)((void**)resolver + 1);
  view->count = (uint32_t*)(view->registrations + view->capacity);
  if (!resolver_layout_is_known(resolver, view)) {
    return "its resolver has an unknown layout";
  }
  if (!registration_layout_is_known(*module, resolver, view, *names)) {
    return "its registrations have an unknown layout";
  }
  return NULL;
}

static bool type_numbers_are_known(void* module, const Symbols* names) {
  const char* (*type_name)(int);
  return find_function(module, names->type_name, &type_name) &&
         strcmp(type_name(WHEEL_FLOAT32), "FLOAT32") == 0 &&
         strcmp(type_name(WHEEL_UINT8), "UINT8") == 0 &&
         strcmp(type_name(WHEEL_INT8), "INT8") == 0;
}

// What the wheel makes of a tensor of ours. Every other word that it might
// take for a pointer points to zeros: a tensor laid out differently then
// looks empty, and nothing crashes.
typedef union Probe {
  WheelEvalTensor tensor;
  const void* words[16];
} Probe;

static const uint64_t kZeros[64];
static const struct {
  int32_t size;
  int32_t data[3];
} kProbeDims = {3, {2, 3, 5}};

static void fill_with_zeros(const void** words, size_t count) {
  for (size_t i = 0; i < count; ++i) words[i] = kZeros;
}

// Which word holds the dims, before the type is set: GetTensorShape returns
// an object that holds them, through a pointer to its memory.
static bool dims_are_known(void* module, const Symbols* names, Probe* probe) {
  void (*tensor_shape)(void*, const WheelEvalTensor*);
  if (!find_function(module, names->tensor_shape, &tensor_shape)) return false;
  union {
    const void* words[16];
    int32_t values[32];
  } shape;
  fill_with_zeros(shape.words, 16);
  fill_with_zeros(probe->words, 16);
  probe->tensor.dims = (const WheelIntArray*)(const void*)&kProbeDims;
  tensor_shape(&shape, &probe->tensor);
  for (int i = 0; i + 3 <= 8; ++i) {
    if (memcmp(&shape.values[i], kProbeDims.data, sizeof(kProbeDims.data)) ==
        0) {
      return true;
    }
  }
  return false;
}

static bool tensor_layout_is_known(void* module, const Symbols* names) {
  Probe probe;
  int (*tensor_bytes)(const WheelEvalTensor*, size_t*);
  if (!type_numbers_are_known(module, names) ||
      !dims_are_known(module, names, &probe) ||
      !find_function(module, names->tensor_bytes, &tensor_bytes)) {
    return false;
  }
  size_t bytes = 0;
  probe.tensor.type = WHEEL_INT8;
  if (tensor_bytes(&probe.tensor, &bytes) != WHEEL_OK || bytes != 30) {
    return false;
  }
  probe.tensor.type = WHEEL_FLOAT32;
  return tensor_bytes(&probe.tensor, &bytes) == WHEEL_OK && bytes == 120;
}

const char* wheel_recognize(void* resolver, WheelApi* api) {
  void* module = NULL;
  const Symbols* names = NULL;
  Resolver view;
  const char* problem = open_resolver(resolver, &module, &names, &view);
  if (problem != NULL) return problem;
  if (!tensor_layout_is_known(module, names)) {
    return "its tensors have an unknown layout";
  }
  if (!find_function(module, names->allocate_persistent,
                     &api->allocate_persistent) ||
      !find_function(module, names->request_scratch, &api->request_scratch) ||
      !find_function(module, names->get_scratch, &api->get_scratch) ||
      !find_function(module, names->get_input, &api->get_input) ||
      !find_function(module, names->get_output, &api->get_output)) {
    return "it does not export the functions of MicroContext";
  }
  return NULL;
}

const char* wheel_add_custom(void* resolver,
                             const WheelRegistration* registration) {
  void* module = NULL;
  const Symbols* names = NULL;
  Resolver view;
  const char* problem = open_resolver(resolver, &module, &names, &view);
  if (problem != NULL) return problem;
  const WheelRegistration* existing =
      view.find_name(resolver, registration->custom_name);
  if (existing != NULL) {
    return existing->invoke == registration->invoke
               ? NULL
               : "it has another operator of this name";
  }
  if (*view.count == view.capacity) return "its resolver is full";
  WheelRegistration* slot = &view.registrations[*view.count];
  const WheelRegistration before = *slot;
  *slot = *registration;
  slot->builtin_code = BUILTIN_CUSTOM;
  *view.count += 1;
  if (view.find_name(resolver, registration->custom_name) == slot) return NULL;
  *view.count -= 1;
  *slot = before;
  return "its resolver does not find the operator that was added";
}
