// Sixteen floats at a time, in the same order on every instruction set. Included by set.h.

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };
typedef float Lanes __attribute__((ext_vector_type(16)));
typedef int32_t LaneBits __attribute__((ext_vector_type(16)));
typedef uint32_t LaneCounters __attribute__((ext_vector_type(16)));
typedef double WideLanes __attribute__((ext_vector_type(16)));
/// Anywhere in memory.
typedef Lanes AnyLanes __attribute__((aligned(4), may_alias));

/// The first `n` of 16 floats; the others are 0. Inlined, so that a whole vector is one load where `n` is the constant 16.
ALWAYS_INLINE Lanes load(const float *values, size_t n) {
    if (n == LANES) return *(const AnyLanes *)values;
    Lanes some = 0;
    memcpy(&some, values, n * sizeof *values);
    return some;
}

ALWAYS_INLINE void store(float *values, Lanes lanes, size_t n) {
    if (n == LANES) {
        *(AnyLanes *)values = lanes;
    } else {
        memcpy(values, &lanes, n * sizeof *values);
    }
}

/// Runs the statement for vectors of `count` floats: `at` is where each begins, `n` its length, which is a constant but for the last.
#define FOR_LANES(at, n, count, ...)                    \
    do {                                                \
        size_t at = 0;                                  \
        for (; (count) - at >= LANES; at += LANES) {    \
            enum { n = LANES };                         \
            __VA_ARGS__;                                \
        }                                               \
        if (at < (count)) {                             \
            size_t n = (count) - at;                    \
            __VA_ARGS__;                                \
        }                                               \
    } while (0)

/// By halves: lane i and lane i + 8, then i and i + 4, and so on.
ALWAYS_INLINE float sum_of(Lanes lanes) {
    Floats eight = lanes.lo + lanes.hi;
    float four[4], two[2];
    for (int i = 0; i < 4; i++) four[i] = eight[i] + eight[i + 4];
    for (int i = 0; i < 2; i++) two[i] = four[i] + four[i + 2];
    return two[0] + two[1];
}

ALWAYS_INLINE double wide_sum_of(WideLanes lanes) {
    Doubles eight = lanes.lo + lanes.hi;
    double four[4], two[2];
    for (int i = 0; i < 4; i++) four[i] = eight[i] + eight[i + 4];
    for (int i = 0; i < 2; i++) two[i] = four[i] + four[i + 2];
    return two[0] + two[1];
}

ALWAYS_INLINE WideLanes widened(Lanes lanes) { return __builtin_convertvector(lanes, WideLanes); }

/// e^x in single precision, within 2 units in the last place; x is held to -87...88, NaN stays NaN.
/// x = k ln 2 + r, and a polynomial for e^r, whose coefficients are those of Moshier's Cephes.
ALWAYS_INLINE Lanes quick_exponential(Lanes x) {
    x = x < -87.0f ? (Lanes)-87.0f : x;
    x = x > 88.0f ? (Lanes)88.0f : x;
    // Adding this rounds to a whole number, which then lies in the lowest bits.
    const float rounding = 0x1.8p23f;
    Lanes shifted = x * 1.44269504f + rounding;
    Lanes k = shifted - rounding;
    Lanes r = x - k * 0.693359375f - k * -2.12194440e-4f;
    Lanes sum = r * 1.9875691500e-4f + 1.3981999507e-3f;
    sum = sum * r + 8.3334519073e-3f;
    sum = sum * r + 4.1665795894e-2f;
    sum = sum * r + 1.6666665459e-1f;
    sum = sum * r + 5.0000001201e-1f;
    sum = sum * (r * r) + r + 1;
    Lanes power = (Lanes)(((LaneBits)shifted << 23) + 0x3f800000);
    return sum * power;
}
