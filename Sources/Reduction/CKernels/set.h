// Every kernel for one instruction set. Included by the set's own file, which says by macros
//   SET           its name
//   VECTOR_BYTES  the width of its registers
//   HAS_FLOAT16   whether it converts fp16 in hardware
#include <string.h>

#include "call.h"

// Vectors wider than a register are arguments of inlined functions only, which have no calling convention.
#pragma clang diagnostic ignored "-Wpsabi"

// The same bits on every instruction set: no multiplication and addition may become one rounding.
#pragma STDC FP_CONTRACT OFF

#define FORMAT_INTEGER 0
#define FORMAT_FLOAT 1
#define FORMAT_FLOAT16 2
#define FORMAT_BFLOAT16 3

#define TYPE float32
#define FORMAT FORMAT_FLOAT
#define STORED float
#define COMPUTED float
#define BITS uint32_t
#define CANONICAL_NAN 0x7fc00000
#define LARGEST 0x1.fffffep127f
#include "type.h"

#define TYPE float64
#define FORMAT FORMAT_FLOAT
#define STORED double
#define COMPUTED double
#define BITS uint64_t
#define CANONICAL_NAN 0x7ff8000000000000
#define LARGEST 0x1.fffffffffffffp1023
#include "type.h"

#define TYPE float16
#define FORMAT FORMAT_FLOAT16
#define STORED uint16_t
#define COMPUTED float
#define BITS uint32_t
#define CANONICAL_NAN 0x7fc00000
#define LARGEST 65504.0f
#include "type.h"

#define TYPE bfloat16
#define FORMAT FORMAT_BFLOAT16
#define STORED uint16_t
#define COMPUTED float
#define BITS uint32_t
#define CANONICAL_NAN 0x7fc00000
#define LARGEST 0x1.fep127f
#include "type.h"

#define TYPE int8
#define FORMAT FORMAT_INTEGER
#define STORED int8_t
#define COMPUTED int8_t
#define BITS uint8_t
#define QUOTIENT float
#include "type.h"

#define TYPE int16
#define FORMAT FORMAT_INTEGER
#define STORED int16_t
#define COMPUTED int16_t
#define BITS uint16_t
#define QUOTIENT float
#include "type.h"

#define TYPE int32
#define FORMAT FORMAT_INTEGER
#define STORED int32_t
#define COMPUTED int32_t
#define BITS uint32_t
#define QUOTIENT double
#include "type.h"

#define TYPE int64
#define FORMAT FORMAT_INTEGER
#define STORED int64_t
#define COMPUTED int64_t
#define BITS uint64_t
#include "type.h"

#define TYPE uint8
#define FORMAT FORMAT_INTEGER
#define STORED uint8_t
#define COMPUTED uint8_t
#define BITS uint8_t
#define QUOTIENT float
#include "type.h"

#define TYPE uint16
#define FORMAT FORMAT_INTEGER
#define STORED uint16_t
#define COMPUTED uint16_t
#define BITS uint16_t
#define QUOTIENT float
#include "type.h"

#define TYPE uint32
#define FORMAT FORMAT_INTEGER
#define STORED uint32_t
#define COMPUTED uint32_t
#define BITS uint32_t
#define QUOTIENT double
#include "type.h"

#define TYPE uint64
#define FORMAT FORMAT_INTEGER
#define STORED uint64_t
#define COMPUTED uint64_t
#define BITS uint64_t
#include "type.h"

#include "wire.h"

/// A `memcpy` whose whole lines go past the caches; the caller fences.
static void EXPAND4(SET, copy, streaming, bytes)(char *to, const char *from, size_t byte_count) {
    typedef char Line __attribute__((ext_vector_type(CACHE_LINE_BYTES)));
    typedef Line Anywhere __attribute__((aligned(1), may_alias));
    typedef Line OnLine __attribute__((may_alias));
    size_t index = -(uintptr_t)to % CACHE_LINE_BYTES;
    if (index > byte_count) index = byte_count;
    __builtin_memcpy(to, from, index);
    for (; byte_count - index >= CACHE_LINE_BYTES; index += CACHE_LINE_BYTES) {
        __builtin_nontemporal_store(*(const Anywhere *)(from + index), (OnLine *)(to + index));
    }
    __builtin_memcpy(to + index, from + index, byte_count - index);
}

#define KERNELS_OF(type)                                                                                                      \
    {                                                                                                                         \
        [SUM] = EXPAND4(SET, type, kernel, sum), [AVERAGE] = EXPAND4(SET, type, kernel, average),                             \
        [PRODUCT] = EXPAND4(SET, type, kernel, product), [MINIMUM] = EXPAND4(SET, type, kernel, minimum),                     \
        [MAXIMUM] = EXPAND4(SET, type, kernel, maximum), [PART] = EXPAND4(SET, type, kernel, part),                           \
        [MEAN] = EXPAND4(SET, type, kernel, mean),                                                                            \
    }
#define PASTE2(a, b) a##_##b
#define EXPAND2(a, b) PASTE2(a, b)

const KernelSet EXPAND2(kernel_set, SET) = {
    .name = SET_NAME,
    .copy_streaming = EXPAND4(SET, copy, streaming, bytes),
    .kernels = {
        [TYPE_FLOAT32] = KERNELS_OF(float32), [TYPE_FLOAT64] = KERNELS_OF(float64), [TYPE_FLOAT16] = KERNELS_OF(float16),
        [TYPE_BFLOAT16] = KERNELS_OF(bfloat16), [TYPE_INT8] = KERNELS_OF(int8), [TYPE_INT16] = KERNELS_OF(int16),
        [TYPE_INT32] = KERNELS_OF(int32), [TYPE_INT64] = KERNELS_OF(int64), [TYPE_UINT8] = KERNELS_OF(uint8),
        [TYPE_UINT16] = KERNELS_OF(uint16), [TYPE_UINT32] = KERNELS_OF(uint32), [TYPE_UINT64] = KERNELS_OF(uint64),
    },
    .encode = {
        [WIRE_BFLOAT16] = EXPAND4(SET, wire, encode, bfloat16), [WIRE_FLOAT16] = EXPAND4(SET, wire, encode, float16),
        [WIRE_INT8] = EXPAND4(SET, wire, encode, int8),
    },
    .decode = {
        [WIRE_BFLOAT16] = EXPAND4(SET, wire, decode, bfloat16), [WIRE_FLOAT16] = EXPAND4(SET, wire, decode, float16),
        [WIRE_INT8] = EXPAND4(SET, wire, decode, int8),
    },
};
