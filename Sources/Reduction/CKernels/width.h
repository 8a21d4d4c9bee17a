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

#if FORMAT == FORMAT_INTEGER
#define ENTERING(operation, value, call, source) (value)

/// An average truncates: QUOTIENT is wide enough for the truncated quotient to be exact.
ALWAYS_INLINE void NAMED(finish)(Operation operation, NAMED(Computed) *sums, size_t vectors, const KernelCall *call) {
    if (operation != AVERAGE) return;
    for (size_t v = 0; v < vectors; v++) {
#ifdef QUOTIENT
        typedef QUOTIENT Quotient __attribute__((ext_vector_type(LANES)));
        sums[v] = CONVERT(__builtin_convertvector(sums[v], Quotient) / (QUOTIENT)call->divisor, Computed);
#else
        sums[v] = sums[v] / (COMPUTED)call->divisor;
#endif
    }
}
#else
#define ENTERING(operation, value, call, source) NAMED(enter)(operation, value, call, source)

/// A rank's part as it enters an average: scaled, where the source is no partial sum.
ALWAYS_INLINE NAMED(Computed) NAMED(enter)(Operation operation, NAMED(Computed) value, const KernelCall *call, size_t source) {
    if (operation != AVERAGE && operation != PART && operation != MEAN) return value;
    bool is_partial = source < 64 && (call->partials >> source & 1);
    return value * (is_partial ? (COMPUTED)1 : (COMPUTED)call->scale);
}

/// The last step of an average. What is finite stays so: an average is no larger than the largest number in it, and only roundings make
/// it seem so. That is seldom the case, and looked for in all vectors at once. A partial sum has room for it, but a half.
ALWAYS_INLINE void NAMED(finish)(Operation operation, NAMED(Computed) *sums, size_t vectors, const KernelCall *call) {
    if (operation != AVERAGE && operation != MEAN && !(operation == PART && FORMAT == FORMAT_FLOAT16)) return;
    COMPUTED by = operation == PART ? (COMPUTED)1 : (COMPUTED)call->finish;
    NAMED(Bits) sign = (NAMED(Bits))(NAMED(Computed))(-(COMPUTED)0);
    NAMED(Computed) results[BLOCK_VECTORS];
    NAMED(Bits) is_beyond = 0;
    for (size_t v = 0; v < vectors; v++) {
        results[v] = operation == AVERAGE ? sums[v] / by : sums[v] * by;
        is_beyond |= (NAMED(Bits))((NAMED(Computed))((NAMED(Bits))results[v] & ~sign) > (COMPUTED)LARGEST);
    }
    bool is_any_beyond = __builtin_reduce_or(is_beyond) != 0;
    for (size_t v = 0; v < vectors; v++) {
        if (__builtin_expect(is_any_beyond, false)) {
            NAMED(Computed) sum = (NAMED(Computed))((NAMED(Bits))sums[v] & ~sign);
            NAMED(Computed) size = (NAMED(Computed))((NAMED(Bits))results[v] & ~sign);
            NAMED(Bits) largest = (NAMED(Bits))(NAMED(Computed))LARGEST | ((NAMED(Bits))results[v] & sign);
            results[v] = SELECT((sum < (COMPUTED)__builtin_inf()) & (size > (COMPUTED)LARGEST), (NAMED(Computed))largest, results[v]);
        }
        sums[v] = results[v];
    }
}
#endif

/// So many vectors from element `index` on. Every source is read before the first store, so that a destination may be a source.
ALWAYS_INLINE void NAMED(step)(
    Operation operation, const char *const *sources, size_t source_count, char *const *destinations, size_t destination_count,
    const KernelCall *call, size_t index, size_t vectors) {
    size_t offset = index * sizeof(STORED);
    NAMED(Computed) results[BLOCK_VECTORS];
    for (size_t v = 0; v < vectors; v++) {
        results[v] = ENTERING(operation, NAMED(widen)(((const NAMED(Anywhere) *)(sources[0] + offset))[v]), call, 0);
    }
    for (size_t s = 1; s < source_count; s++) {
        const NAMED(Anywhere) *source = (const NAMED(Anywhere) *)(sources[s] + offset);
        for (size_t v = 0; v < vectors; v++) {
            results[v] = NAMED(fold)(operation, results[v], ENTERING(operation, NAMED(widen)(source[v]), call, s));
        }
    }
    NAMED(Stored) stored[BLOCK_VECTORS];
    NAMED(finish)(operation, results, vectors, call);
    for (size_t v = 0; v < vectors; v++) stored[v] = NAMED(narrow)(results[v]);
    for (size_t d = 0; d < destination_count; d++) {
        char *destination = destinations[d] + offset;
        for (size_t v = 0; v < vectors; v++) ((NAMED(Anywhere) *)destination)[v] = stored[v];
    }
}

#undef ENTERING
#undef CONVERT
#undef SELECT
#undef LANES
#undef WIDTH
