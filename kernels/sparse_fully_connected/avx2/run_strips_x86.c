#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/run_strips_x86.h"
#include "sparse_fully_connected/avx2/x86.h"

// How the vectors of a strip stand in lanes.
typedef struct Shape {
  uint32_t step;   // elements from one vector to the next
  uint32_t cols;   // turned: of a vector, or of a step that vectors share
  uint32_t steps;  // that make up a vector; 1 where nothing is shared
  uint32_t pitch;  // bytes from row to row
} Shape;

// Steps are shared where a vector is several of them and blocks straddle none.
static Shape make_shape(const SparsesepPackedHeader* h, uint32_t step,
                        uint32_t columns) {
  const uint32_t cols = h->cols;
  Shape shape = {step, cols, 1, 4 * SPARSESEP_STRIP_VECTORS};
  if (step == 0 || step >= cols || cols % step != 0 ||
      step % sparsesep_offset_unit(h) != 0) {
    return shape;
  }
  const uint32_t steps = cols / step;
  const uint32_t pitch = 4 * ((SPARSESEP_STRIP_VECTORS + steps - 1 + 7u) & ~7u);
  const uint64_t bytes =
      (uint64_t)sparsesep_turned_columns(step) / columns * pitch;
  if (bytes <= sparsesep_lanes_bytes(h, columns)) {
    shape.cols = step;
    shape.steps = steps;
    shape.pitch = pitch;
  }
  return shape;
}

// `columns` is a power of two.
static void set_offsets(const SparsesepPackedHeader* h, const Shape* shape,
                        uint32_t columns, uint32_t* offset) {
  const uint32_t unit = sparsesep_offset_unit(h);
  const uint32_t each = shape->pitch / columns;
  uint32_t left = sparsesep_padded_cols(h);
  for (uint32_t step = 0; step < shape->steps; ++step) {
    const int is_last = step + 1 == shape->steps;
    const uint32_t count = (is_last ? left : shape->cols) / unit;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t within = i * unit & (columns - 1);
      offset[i] =
          (i * unit - within) * each + within * (4 / columns) + 4 * step;
    }
    offset += count;
    left -= count * unit;
  }
}

// Turns a square: row[v] is eight lanes of vector v.
SPARSESEP_AVX2
static inline void turn_eight(const __m256i* row, uint8_t* lanes,
                              uint32_t pitch) {
  __m256i two[8];
  __m256i four[8];
  for (int i = 0; i < 4; ++i) {
    two[2 * i] = _mm256_unpacklo_epi32(row[2 * i], row[2 * i + 1]);
    two[2 * i + 1] = _mm256_unpackhi_epi32(row[2 * i], row[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    const __m256i* t = two + 4 * i;
    four[4 * i] = _mm256_unpacklo_epi64(t[0], t[2]);
    four[4 * i + 1] = _mm256_unpackhi_epi64(t[0], t[2]);
    four[4 * i + 2] = _mm256_unpacklo_epi64(t[1], t[3]);
    four[4 * i + 3] = _mm256_unpackhi_epi64(t[1], t[3]);
  }
  for (uint32_t i = 0; i < 4; ++i) {
    const __m256i low = _mm256_permute2x128_si256(four[i], four[i + 4], 0x20);
    const __m256i high = _mm256_permute2x128_si256(four[i], four[i + 4], 0x31);
    _mm256_storeu_si256((__m256i*)(lanes + i * pitch), low);
    _mm256_storeu_si256((__m256i*)(lanes + (i + 4) * pitch), high);
  }
}

// Eight lanes of a vector.
SPARSESEP_AVX2
static inline __m256i eight_lanes(const int8_t* x, uint32_t columns) {
  if (columns == 2) return sparsesep_sixteen_weights_avx2(x);
  return _mm256_xor_si256(_mm256_loadu_si256((const __m256i*)x),
                          _mm256_set1_epi8(-128));
}

// Turns `cols` columns, at most SPARSESEP_TURNED_COLUMNS, of eight vectors.
SPARSESEP_AVX2
static void turn_columns(const int8_t* const* vector, uint32_t at,
                         uint32_t cols, uint32_t columns, uint32_t pitch,
                         uint8_t* lanes) {
  int8_t rest[8][SPARSESEP_TURNED_COLUMNS];
  const int is_whole = cols >= SPARSESEP_TURNED_COLUMNS;
  for (uint32_t v = 0; v < 8 && !is_whole; ++v) {
    memset(rest[v], 0, sizeof(rest[v]));
    memcpy(rest[v], vector[v] + at, cols);
  }
  for (uint32_t c = 0; c < SPARSESEP_TURNED_COLUMNS; c += 8 * columns) {
    __m256i row[8];
    for (int v = 0; v < 8; ++v) {
      row[v] =
          eight_lanes(is_whole ? vector[v] + at + c : rest[v] + c, columns);
    }
    turn_eight(row, lanes + c / columns * pitch, pitch);
  }
}

// Turns `count` vectors, or steps of vectors, and repeats the last one up to
// the next multiple of eight.
SPARSESEP_AVX2
static void turn(const Shape* shape, uint32_t columns, const int8_t* x,
                 uint32_t count, uint8_t* lanes) {
  for (uint32_t first = 0; first < count; first += 8, lanes += 8 * 4) {
    const int8_t* vector[8];
    for (uint32_t v = 0; v < 8; ++v) {
      const uint32_t at = first + v < count ? first + v : count - 1;
      vector[v] = x + (size_t)at * shape->step;
    }
    for (uint32_t c = 0; c < shape->cols; c += SPARSESEP_TURNED_COLUMNS) {
      turn_columns(vector, c, shape->cols - c, columns, shape->pitch,
                   lanes + c / columns * shape->pitch);
    }
  }
}

static void run_strip(const SparsesepPackedHeader* weights,
                      const SparsesepRows* rows, const SparsesepStrip* strip,
                      uint32_t vectors, int8_t* out,
                      SparsesepMultiplyStrip multiply) {
  SparsesepRowStreams streams = {
      sparsesep_section(weights, weights->counts_offset),
      sparsesep_section(weights, weights->index_offset),
      sparsesep_section(weights, weights->value_offset), weights};
  const uint32_t row_count = weights->rows;
  for (uint32_t row = 0; row < row_count; row += SPARSESEP_ROW_PORTION) {
    _Alignas(64) uint32_t acc[SPARSESEP_ROW_PORTION * SPARSESEP_STRIP_VECTORS];
    const uint32_t count = sparsesep_portion(row_count - row);
    const uint32_t groups =
        (count + weights->block_rows - 1) / weights->block_rows;
    multiply(&streams, strip, groups, acc);
    sparsesep_finish_strip_avx2(rows, row, count, acc, vectors, out + row,
                                row_count);
  }
}

int32_t sparsesep_run_strips(const SparsesepPackedHeader* weights,
                             const SparsesepFullyConnectedParams* params,
                             const void* input, int32_t batch, void* output,
                             void* scratch, const SparsesepLanes* lanes) {
  if (batch < lanes->least) return 0;
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const Shape shape =
      make_shape(weights, (uint32_t)params->input_step, lanes->columns);
  const int8_t* x = input;
  int8_t* out = output;
  uint32_t* const offset = scratch;
  uint8_t* const turned = (uint8_t*)scratch + sparsesep_offset_bytes(weights);
  int32_t done = 0;
  set_offsets(weights, &shape, lanes->columns, offset);
  while (batch - done >= lanes->least) {
    const int32_t left = batch - done;
    const uint32_t vectors = left < SPARSESEP_STRIP_VECTORS
                                 ? (uint32_t)left
                                 : SPARSESEP_STRIP_VECTORS;
    const SparsesepStrip strip = {turned, offset, shape.pitch,
                                  (vectors + 15) & ~15u};
    turn(&shape, lanes->columns, x, vectors + shape.steps - 1, turned);
    run_strip(weights, &rows, &strip, vectors, out, lanes->multiply);
    x += (size_t)vectors * shape.step;
    out += (size_t)vectors * weights->rows;
    done += (int32_t)vectors;
  }
  return done;
}

#endif  // SPARSESEP_HAS_X86
