// The wire formats of floats: encoding and decoding. Included by set.h behind the types, whose conversions it uses.

/// Of a magnitude's bits: those from here on are no finite number.
#define INFINITY_BITS 0x7f800000
/// A float in whose lowest bits whole numbers lie.
#define ROUNDING 0x1.8p23f

#define FLOAT_LANES (VECTOR_BYTES / sizeof(float))

#define WIDTH vector
#define LANES FLOAT_LANES
#include "wire_width.h"

#define WIDTH element
#define LANES 1
#include "wire_width.h"

#define WIRE(width, name) EXPAND4(SET, wire, width, name)

/// Each of `count` elements, in vectors as far as they go.
#define FOR_EACH(name, ...)                                                                             \
    do {                                                                                                \
        size_t index = 0;                                                                               \
        for (; count - index >= FLOAT_LANES; index += FLOAT_LANES) WIRE(vector, name)(__VA_ARGS__);     \
        _Pragma("clang loop vectorize(disable) unroll(disable)") for (; index < count; index++) {       \
            WIRE(element, name)(__VA_ARGS__);                                                           \
        }                                                                                               \
    } while (0)

#define HALF(type)                                                                                                            \
    static void EXPAND4(SET, wire, encode, type)(const float *values, float *residual, char *encoded, size_t count) {         \
        uint16_t *halves = (uint16_t *)encoded;                                                                               \
        if (residual) {                                                                                                       \
            FOR_EACH(encode_##type, values + index, residual + index, halves + index);                                        \
        } else {                                                                                                              \
            FOR_EACH(encode_##type, values + index, NULL, halves + index);                                                    \
        }                                                                                                                     \
    }                                                                                                                         \
    static void EXPAND4(SET, wire, decode, type)(const char *encoded, float *values, size_t count) {                          \
        const uint16_t *halves = (const uint16_t *)encoded;                                                                   \
        FOR_EACH(decode_##type, halves + index, values + index);                                                              \
    }

HALF(bfloat16)
HALF(float16)

/// The largest magnitude of what is to be sent, by its bits: those of an infinity are larger than any number's, those of a NaN larger still.
ALWAYS_INLINE uint32_t EXPAND4(SET, wire, int8, largest)(const float *values, const float *residual, size_t count) {
    WIRE(vector, Bits) most[4] = {0};
    size_t index = 0;
    for (; count - index >= 4 * FLOAT_LANES; index += 4 * FLOAT_LANES) {
        for (size_t v = 0; v < 4; v++) {
            size_t at = index + v * FLOAT_LANES;
            WIRE(vector, Bits) magnitude = WIRE(vector, magnitude)(WIRE(vector, wanted)(values + at, residual ? residual + at : NULL));
            most[v] = __builtin_elementwise_max(most[v], magnitude);
        }
    }
    uint32_t largest = __builtin_reduce_max(
        __builtin_elementwise_max(__builtin_elementwise_max(most[0], most[1]), __builtin_elementwise_max(most[2], most[3])));
#pragma clang loop vectorize(disable) unroll(disable)
    for (; index < count; index++) {
        uint32_t magnitude = WIRE(element, magnitude)(WIRE(element, wanted)(values + index, residual ? residual + index : NULL))[0];
        if (magnitude > largest) largest = magnitude;
    }
    return largest;
}

/// One block: its scale, then a code for each element. See Reduction's `WireFormat`.
ALWAYS_INLINE void EXPAND4(SET, wire, int8, block)(const float *values, float *residual, char *encoded, size_t count) {
    uint32_t bits = EXPAND4(SET, wire, int8, largest)(values, residual, count);
    int8_t *codes = (int8_t *)encoded + sizeof(float);
    float largest, scale;
    memcpy(&largest, &bits, sizeof largest);
    if (bits >= INFINITY_BITS) {
        memcpy(&scale, &(uint32_t){0x7fc00000}, sizeof scale);
        memset(codes, 0, count);
        if (residual) memset(residual, 0, count * sizeof *residual);
    } else if (largest < 0x1p-100f) {
        // Its inverse might be infinite.
        scale = 0;
        memset(codes, 0, count);
        if (residual) FOR_EACH(accumulate, values + index, residual + index);
    } else {
        // 127 scales must not be more than the largest float.
        if (largest > 0x1.fffffp127f) largest = 0x1.fffffp127f;
        scale = largest / 127;
        float inverse = 127 / largest;
        if (residual) {
            FOR_EACH(encode_int8, values + index, residual + index, codes + index, scale, inverse);
        } else {
            FOR_EACH(encode_int8, values + index, NULL, codes + index, scale, inverse);
        }
    }
    memcpy(encoded, &scale, sizeof scale);
}

static void EXPAND4(SET, wire, encode, int8)(const float *values, float *residual, char *encoded, size_t count) {
    for (size_t start = 0; start < count; start += WIRE_BLOCK) {
        size_t block = count - start < WIRE_BLOCK ? count - start : WIRE_BLOCK;
        if (residual) {
            EXPAND4(SET, wire, int8, block)(values + start, residual + start, encoded, block);
        } else {
            EXPAND4(SET, wire, int8, block)(values + start, NULL, encoded, block);
        }
        encoded += sizeof(float) + block;
    }
}

static void EXPAND4(SET, wire, decode, int8)(const char *encoded, float *values, size_t total) {
    for (size_t start = 0; start < total; start += WIRE_BLOCK) {
        size_t count = total - start < WIRE_BLOCK ? total - start : WIRE_BLOCK;
        float scale;
        memcpy(&scale, encoded, sizeof scale);
        const int8_t *codes = (const int8_t *)encoded + sizeof scale;
        FOR_EACH(decode_int8, codes + index, values + start + index, scale);
        encoded += sizeof scale + count;
    }
}

#undef HALF
#undef FOR_EACH
#undef WIRE
#undef FLOAT_LANES
