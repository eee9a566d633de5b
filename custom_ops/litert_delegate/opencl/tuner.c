// Finds the fastest launch of a layer by timing: changes one field after the
// other and compares each candidate with the best so far. Clocks of phones
// change from one second to the next, so only times of the same moment are
// compared.
#include <stddef.h>
#include <time.h>

#include "opencl/row_kernel.h"

#define ROUNDS 7            // the fastest one counts
#define ROUND_SECONDS 1e-3  // at least, per round
#define MOST_LAUNCHES 256   // at most, per round
// A candidate must be faster by this factor: less is noise.
#define GAIN 0.97

// A field of a launch and its candidates, terminated by 0.
typedef struct Axis {
  size_t offset;
  int32_t values[8];
} Axis;

static const Axis axes[] = {
    {offsetof(SparsesepLaunch, lanes), {1, 2, 4, 8, 16, 32, 64}},
    {offsetof(SparsesepLaunch, group_size), {16, 32, 64, 128, 256}},
    {offsetof(SparsesepLaunch, vectors), {1, 2, 4, 8}},
};

static int32_t* number_of(SparsesepLaunch* launch, const Axis* axis) {
  return (int32_t*)(void*)((char*)launch + axis->offset);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

// Returns the seconds of one of `count` launches in a row; fails if the
// device refuses.
static double seconds(SparsesepOpenclRunner* runner, int32_t step,
                      int32_t count) {
  const double start = now();
  cl_int status = CL_SUCCESS;
  for (int32_t i = 0; i < count && status == CL_SUCCESS; ++i) {
    status = sparsesep_queue_step(runner, &runner->steps[step]);
  }
  const cl_int finished = runner->device->api->clFinish(runner->device->queue);
  if (status == CL_SUCCESS) status = finished;
  if (status != CL_SUCCESS) {
    sparsesep_opencl_fail(runner, "a launch to be timed", status);
  }
  return (now() - start) / (double)count;
}

// Returns the launches per round of a step that has run before.
static int32_t launches(SparsesepOpenclRunner* runner, int32_t step) {
  int32_t count = 1;
  while (count < MOST_LAUNCHES && !runner->failed &&
         seconds(runner, step, count) * count < ROUND_SECONDS) {
    count *= 2;
  }
  return count;
}

// Checks that the last step is faster than the one before it.
static bool is_faster(SparsesepOpenclRunner* runner, double* best) {
  const int32_t last = runner->step_count - 1;
  double fastest[2] = {1e9, 1e9};
  // Drivers finish compiling at the first launch.
  for (int32_t i = 0; i < 2; ++i) seconds(runner, last - i, 1);
  const int32_t count = launches(runner, last - 1);
  for (int32_t round = 0; round < ROUNDS && !runner->failed; ++round) {
    for (int32_t i = 0; i < 2; ++i) {
      const double time = seconds(runner, last - i, count);
      if (time < fastest[i]) fastest[i] = time;
    }
    // A hopeless candidate needs no further rounds.
    if (fastest[0] > 2 * fastest[1]) break;
  }
  const bool is = !runner->failed && fastest[0] < GAIN * fastest[1];
  *best = is ? fastest[0] : fastest[1];
  return is;
}

// Replaces the best launch, the last step, by a candidate that is faster. A
// candidate that the device refuses is not.
static void try_launch(SparsesepOpenclRunner* runner,
                       const SparsesepRowKernel* kernel,
                       SparsesepLaunch candidate, SparsesepLaunch* best,
                       double* best_seconds) {
  const SparsesepLaunchLimits limits =
      sparsesep_launch_limits(runner->device, kernel);
  const SparsesepLaunch fitted =
      sparsesep_fit_launch(candidate, &limits, kernel->tile_rows);
  if (!sparsesep_same_launch(&fitted, &candidate) ||
      sparsesep_same_launch(&fitted, best)) {
    return;
  }
  const int32_t count = runner->step_count;
  const SparsesepLaunch added =
      sparsesep_add_row_launch(runner, kernel, candidate);
  const bool is_new = sparsesep_same_launch(&added, &candidate);
  if (is_new && !runner->failed && is_faster(runner, best_seconds)) {
    const SparsesepOpenclStep faster = runner->steps[count];
    runner->steps[count] = runner->steps[count - 1];
    runner->steps[count - 1] = faster;
    *best = candidate;
  }
  if (runner->step_count > count) sparsesep_drop_step(runner);
  runner->failed = false;
}

static void try_all(SparsesepOpenclRunner* runner,
                    const SparsesepRowKernel* kernel, SparsesepLaunch* best,
                    double* best_seconds) {
  SparsesepLaunch chosen = runner->device->chosen;
  for (size_t i = 0; i < sizeof(axes) / sizeof(axes[0]); ++i) {
    if (*number_of(&chosen, &axes[i]) != 0) continue;
    for (const int32_t* value = axes[i].values; *value != 0; ++value) {
      SparsesepLaunch candidate = *best;
      *number_of(&candidate, &axes[i]) = *value;
      try_launch(runner, kernel, candidate, best, best_seconds);
    }
  }
}

SparsesepLaunch sparsesep_tune_launch(SparsesepOpenclRunner* runner,
                                      const SparsesepRowKernel* kernel,
                                      SparsesepLaunch launch,
                                      double* best_seconds) {
  *best_seconds = 0.0;
  runner->tuning = true;
  SparsesepLaunch best = sparsesep_add_row_launch(runner, kernel, launch);
  const SparsesepLaunch usual = best;
  if (!runner->failed) {
    try_all(runner, kernel, &best, best_seconds);
    // On a busy device a candidate may be lucky: it has to win twice.
    try_launch(runner, kernel, usual, &best, best_seconds);
  }
  runner->tuning = false;
  if (runner->failed) return best;
  // Add it again, so that its program is cached.
  sparsesep_drop_step(runner);
  return sparsesep_add_row_launch(runner, kernel, best);
}
