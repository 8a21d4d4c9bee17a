// The wire formats at one width: vectors of LANES floats. Included by wire.h for each width; WIDTH names it.

#define WIRE(name) EXPAND4(SET, wire, WIDTH, name)
#define TYPED(type, name) EXPAND4(SET, type, WIDTH, name)

typedef float WIRE(Floats) __attribute__((ext_vector_type(LANES)));
typedef uint32_t WIRE(Bits) __attribute__((ext_vector_type(LANES)));
typedef int8_t WIRE(Codes) __attribute__((ext_vector_type(LANES)));
/// Anywhere in memory.
typedef WIRE(Floats) WIRE(AnyFloats) __attribute__((aligned(1), may_alias));
typedef WIRE(Codes) WIRE(AnyCodes) __attribute__((aligned(1), may_alias));
typedef TYPED(float16, Stored) WIRE(AnyHalves) __attribute__((aligned(1), may_alias));

#define FLOATS(pointer) (*(WIRE(AnyFloats) *)(pointer))

/// What is to be sent: the values, and what the step before has left over.
ALWAYS_INLINE WIRE(Floats) WIRE(wanted)(const float *values, const float *residual) {
    WIRE(Floats) wanted = FLOATS(values);
    return residual ? wanted + FLOATS(residual) : wanted;
}

ALWAYS_INLINE WIRE(Bits) WIRE(magnitude)(WIRE(Floats) value) { return (WIRE(Bits))value & 0x7fffffff; }

/// What did not get through is left for the next step. What is infinite or NaN has been told, and must not spoil all steps to come.
ALWAYS_INLINE void WIRE(leave)(float *residual, WIRE(Floats) wanted, WIRE(Floats) sent) {
    WIRE(Floats) rest = wanted - sent;
    FLOATS(residual) = WIRE(magnitude)(wanted) < INFINITY_BITS ? rest : (WIRE(Floats))0;
}

/// A finite number beyond the format's range becomes the largest that there is.
ALWAYS_INLINE WIRE(Floats) WIRE(saturate)(WIRE(Floats) value, float largest) {
    WIRE(Bits) magnitude = WIRE(magnitude)(value), most = (WIRE(Bits))(WIRE(Floats))largest;
    WIRE(Bits) is_beyond = (WIRE(Bits))(magnitude > most) & (WIRE(Bits))(magnitude < INFINITY_BITS);
    return is_beyond ? (WIRE(Floats))(most | ((WIRE(Bits))value & 0x80000000)) : value;
}

#define HALF(type, largest)                                                                                                  \
    ALWAYS_INLINE void WIRE(encode_##type)(const float *values, float *residual, uint16_t *encoded) {                        \
        WIRE(Floats) wanted = WIRE(wanted)(values, residual);                                                                \
        TYPED(type, Stored) stored = TYPED(type, narrow)(WIRE(saturate)(wanted, largest));                                   \
        *(WIRE(AnyHalves) *)encoded = stored;                                                                                \
        if (residual) WIRE(leave)(residual, wanted, TYPED(type, widen)(stored));                                             \
    }                                                                                                                        \
    ALWAYS_INLINE void WIRE(decode_##type)(const uint16_t *encoded, float *values) {                                         \
        FLOATS(values) = TYPED(type, widen)(*(const WIRE(AnyHalves) *)encoded);                                              \
    }

HALF(bfloat16, 0x1.fep127f)
HALF(float16, 65504.0f)

/// Codes of one block, whose scale is finite and not 0: the addition rounds to a whole number, ties to even, in the lowest bits of the sum.
ALWAYS_INLINE void WIRE(encode_int8)(const float *values, float *residual, int8_t *codes, float scale, float inverse) {
    WIRE(Floats) wanted = WIRE(wanted)(values, residual);
    WIRE(Bits) whole = (WIRE(Bits))(wanted * inverse + ROUNDING) - (WIRE(Bits))(WIRE(Floats))ROUNDING;
    WIRE(Codes) stored = __builtin_convertvector(whole, WIRE(Codes));
    *(WIRE(AnyCodes) *)codes = stored;
    if (residual) FLOATS(residual) = wanted - __builtin_convertvector(stored, WIRE(Floats)) * scale;
}

/// Nothing gets through.
ALWAYS_INLINE void WIRE(accumulate)(const float *values, float *residual) { FLOATS(residual) = FLOATS(values) + FLOATS(residual); }

ALWAYS_INLINE void WIRE(decode_int8)(const int8_t *codes, float *values, float scale) {
    FLOATS(values) = __builtin_convertvector(*(const WIRE(AnyCodes) *)codes, WIRE(Floats)) * scale;
}

#undef HALF
#undef FLOATS
#undef WIRE
#undef TYPED
#undef LANES
#undef WIDTH
