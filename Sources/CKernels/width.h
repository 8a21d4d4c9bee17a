// One type at one width: load, fold, finish and store vectors of LANES elements. Included by type.h for each width; WIDTH names it.

typedef STORED NAMED(Stored) __attribute__((ext_vector_type(LANES)));
typedef COMPUTED NAMED(Computed) __attribute__((ext_vector_type(LANES)));
typedef BITS NAMED(Bits) __attribute__((ext_vector_type(LANES)));
/// A vector anywhere in memory, and one at a multiple of its size.
typedef NAMED(Stored) NAMED(Anywhere) __attribute__((aligned(1), may_alias));

#define CONVERT(value, type) __builtin_convertvector(value, NAMED(type))
/// Lane by lane; a comparison gives a mask of all ones or zeros.
#define SELECT(mask, yes, no) ((mask) ? (yes) : (no))

ALWAYS_INLINE NAMED(Computed) NAMED(widen)(NAMED(Stored) stored) {
#if FORMAT == FORMAT_BFLOAT16
    return (NAMED(Computed))(CONVERT(stored, Bits) << 16);
#elif FORMAT == FORMAT_FLOAT16 && HAS_FLOAT16
    typedef _Float16 Half __attribute__((ext_vector_type(LANES)));
    return CONVERT((Half)stored, Computed);
#elif FORMAT == FORMAT_FLOAT16
    NAMED(Bits) bits = CONVERT(stored, Bits);
    NAMED(Bits) magnitude = bits & 0x7fff;
    // The power of two moves the exponent's bias from 15 to 127, exactly, subnormals included; infinity and NaN keep theirs.
    NAMED(Computed) scaled = (NAMED(Computed))(magnitude << 13) * 0x1p112f;
    NAMED(Bits) special = (NAMED(Bits))(magnitude >= 0x7c00) & 0x7f800000;
    return (NAMED(Computed))((NAMED(Bits))scaled | special | (bits & 0x8000) << 16);
#else
    return stored;
#endif
}

ALWAYS_INLINE NAMED(Stored) NAMED(narrow)(NAMED(Computed) computed) {
#if FORMAT != FORMAT_INTEGER
    // Whose NaN an operation hands on differs between processors, and between two orders of the same operands: so there is only one.
    computed = SELECT(computed == computed, computed, (NAMED(Computed))(NAMED(Bits))(BITS)CANONICAL_NAN);
    NAMED(Bits) bits = (NAMED(Bits))computed;
    (void)bits;
#endif
#if FORMAT == FORMAT_BFLOAT16
    // To nearest, ties to even. A NaN is canonical here and does not carry over. AVX512-BF16 would flush subnormals.
    return CONVERT((bits + 0x7fff + (bits >> 16 & 1)) >> 16, Stored);
#elif FORMAT == FORMAT_FLOAT16 && HAS_FLOAT16
    typedef _Float16 Half __attribute__((ext_vector_type(LANES)));
    return (NAMED(Stored))__builtin_convertvector(computed, Half);
#elif FORMAT == FORMAT_FLOAT16
    NAMED(Bits) magnitude = bits & 0x7fffffff;
    // The least value that rounds to 2^16 and beyond, and the least normal one.
    NAMED(Bits) is_special = (NAMED(Bits))(magnitude >= 0x47800000), is_subnormal = (NAMED(Bits))(magnitude < 0x38800000);
    NAMED(Bits) special = SELECT(magnitude > 0x7f800000, (NAMED(Bits))0x7e00, (NAMED(Bits))0x7c00);
    // A half's subnormals are multiples of 2^-24, which is the last place of floats from 0.5 to 1: the addition rounds.
    NAMED(Bits) subnormal = (NAMED(Bits))((NAMED(Computed))magnitude + 0.5f) - 0x3f000000;
    NAMED(Bits) normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
    NAMED(Bits) rounded = SELECT(is_special, special, SELECT(is_subnormal, subnormal, normal));
    return CONVERT(rounded | (bits >> 16 & 0x8000), Stored);
#else
    return computed;
#endif
}

/// Integers wrap, by their unsigned twins. Of floating-point numbers, minimum and maximum are IEEE 754-2019's: a NaN wins, -0 is below +0.
ALWAYS_INLINE NAMED(Computed) NAMED(fold)(Operation operation, NAMED(Computed) left, NAMED(Computed) right) {
    NAMED(Bits) left_bits = (NAMED(Bits))left, right_bits = (NAMED(Bits))right;
#if FORMAT == FORMAT_INTEGER
    switch (operation) {
    case PRODUCT: return (NAMED(Computed))(left_bits * right_bits);
    case MINIMUM: return __builtin_elementwise_min(left, right);
    case MAXIMUM: return __builtin_elementwise_max(left, right);
    default: return (NAMED(Computed))(left_bits + right_bits);
    }
#else
    // Equal numbers have equal bits, except for zeros: there the minimum has either's sign, the maximum both's.
    NAMED(Computed) nan = (NAMED(Computed))(NAMED(Bits))(BITS)CANONICAL_NAN;
    switch (operation) {
    case PRODUCT: return left * right;
    case MINIMUM: {
        NAMED(Computed) zero = (NAMED(Computed))(left_bits | right_bits);
        NAMED(Computed) less = SELECT(left == right, zero, SELECT(left < right, left, right));
        return SELECT(left == left & right == right, less, nan);
    }
    case MAXIMUM: {
        NAMED(Computed) zero = (NAMED(Computed))(left_bits & right_bits);
        NAMED(Computed) more = SELECT(left == right, zero, SELECT(left > right, left, right));
        return SELECT(left == left & right == right, more, nan);
    }
    default: return left + right;
    }
#endif
}

/// Rounded to nearest, or truncated where the type is an integer: QUOTIENT is wide enough for the truncated quotient to be exact.
ALWAYS_INLINE NAMED(Computed) NAMED(divide)(NAMED(Computed) sum, size_t divisor) {
#ifdef QUOTIENT
    typedef QUOTIENT Quotient __attribute__((ext_vector_type(LANES)));
    return CONVERT(__builtin_convertvector(sum, Quotient) / (QUOTIENT)divisor, Computed);
#else
    return sum / (COMPUTED)divisor;
#endif
}

/// So many vectors from element `index` on. Every source is read before the first store, so that a destination may be a source.
ALWAYS_INLINE void NAMED(step)(
    Operation operation, const char *const *sources, size_t source_count, char *const *destinations, size_t destination_count,
    size_t divisor, size_t index, size_t vectors) {
    size_t offset = index * sizeof(STORED);
    NAMED(Computed) results[BLOCK_VECTORS];
    for (size_t v = 0; v < vectors; v++) results[v] = NAMED(widen)(((const NAMED(Anywhere) *)(sources[0] + offset))[v]);
    for (size_t s = 1; s < source_count; s++) {
        const NAMED(Anywhere) *source = (const NAMED(Anywhere) *)(sources[s] + offset);
        for (size_t v = 0; v < vectors; v++) results[v] = NAMED(fold)(operation, results[v], NAMED(widen)(source[v]));
    }
    NAMED(Stored) stored[BLOCK_VECTORS];
    for (size_t v = 0; v < vectors; v++) {
        stored[v] = NAMED(narrow)(operation == AVERAGE ? NAMED(divide)(results[v], divisor) : results[v]);
    }
    for (size_t d = 0; d < destination_count; d++) {
        char *destination = destinations[d] + offset;
        for (size_t v = 0; v < vectors; v++) ((NAMED(Anywhere) *)destination)[v] = stored[v];
    }
}

#undef CONVERT
#undef SELECT
#undef LANES
#undef WIDTH
