// A model with this project's operators in TensorFlow Lite's C library, as an
// app or a service on Linux or Android runs it.
//
//   cc run_model.c -ltensorflowlite_c -ldl -o run_model
//   ./run_model model.tflite libsparsesep_delegate.so opencl < in.raw > out.raw
//
// Reads inputs of the model's first input tensor from stdin, one after the
// other, and writes what its first output tensor then holds to stdout.
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

// Of tensorflow/lite/c/c_api.h, which a project of yours would include.
typedef struct TfLiteModel TfLiteModel;
typedef struct TfLiteInterpreter TfLiteInterpreter;
typedef struct TfLiteInterpreterOptions TfLiteInterpreterOptions;
typedef struct TfLiteTensor TfLiteTensor;
typedef struct TfLiteDelegate TfLiteDelegate;
TfLiteModel* TfLiteModelCreateFromFile(const char* path);
void TfLiteModelDelete(TfLiteModel* model);
TfLiteInterpreterOptions* TfLiteInterpreterOptionsCreate(void);
void TfLiteInterpreterOptionsDelete(TfLiteInterpreterOptions* options);
void TfLiteInterpreterOptionsAddDelegate(TfLiteInterpreterOptions* options,
                                         TfLiteDelegate* delegate);
TfLiteInterpreter* TfLiteInterpreterCreate(
    const TfLiteModel* model, const TfLiteInterpreterOptions* options);
void TfLiteInterpreterDelete(TfLiteInterpreter* interpreter);
int TfLiteInterpreterAllocateTensors(TfLiteInterpreter* interpreter);
int TfLiteInterpreterInvoke(TfLiteInterpreter* interpreter);
TfLiteTensor* TfLiteInterpreterGetInputTensor(
    const TfLiteInterpreter* interpreter, int index);
const TfLiteTensor* TfLiteInterpreterGetOutputTensor(
    const TfLiteInterpreter* interpreter, int index);
size_t TfLiteTensorByteSize(const TfLiteTensor* tensor);
void* TfLiteTensorData(const TfLiteTensor* tensor);

typedef TfLiteDelegate* (*CreateDelegate)(const char* const* keys,
                                          const char* const* values,
                                          size_t count,
                                          void (*report)(const char*));
typedef void (*DestroyDelegate)(TfLiteDelegate* delegate);

static void report(const char* message) { fprintf(stderr, "%s\n", message); }

static int run_all(TfLiteInterpreter* interpreter) {
  if (TfLiteInterpreterAllocateTensors(interpreter) != 0) return 1;
  TfLiteTensor* input = TfLiteInterpreterGetInputTensor(interpreter, 0);
  while (fread(TfLiteTensorData(input), TfLiteTensorByteSize(input), 1,
               stdin) == 1) {
    if (TfLiteInterpreterInvoke(interpreter) != 0) return 1;
    const TfLiteTensor* output =
        TfLiteInterpreterGetOutputTensor(interpreter, 0);
    fwrite(TfLiteTensorData(output), TfLiteTensorByteSize(output), 1, stdout);
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: run_model MODEL DELEGATE cpu|opencl\n");
    return 2;
  }
  void* library = dlopen(argv[2], RTLD_NOW);
  if (library == NULL) {
    report(dlerror());
    return 2;
  }
  const CreateDelegate create =
      (CreateDelegate)dlsym(library, "tflite_plugin_create_delegate");
  const DestroyDelegate destroy =
      (DestroyDelegate)dlsym(library, "tflite_plugin_destroy_delegate");
  const char* keys[] = {"backend"};
  const char* values[] = {argv[3]};
  TfLiteDelegate* delegate = create(keys, values, 1, report);
  TfLiteModel* model = TfLiteModelCreateFromFile(argv[1]);
  if (delegate == NULL || model == NULL) return 2;
  TfLiteInterpreterOptions* options = TfLiteInterpreterOptionsCreate();
  TfLiteInterpreterOptionsAddDelegate(options, delegate);
  TfLiteInterpreter* interpreter = TfLiteInterpreterCreate(model, options);
  const int failed = interpreter == NULL || run_all(interpreter) != 0;
  // The interpreter uses the delegate until it is deleted.
  if (interpreter != NULL) TfLiteInterpreterDelete(interpreter);
  TfLiteInterpreterOptionsDelete(options);
  TfLiteModelDelete(model);
  destroy(delegate);
  return failed;
}
