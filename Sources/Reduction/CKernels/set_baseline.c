// What every processor of the architecture has: SSE2 on x86-64, NEON on ARM64, plain registers elsewhere.
#define SET baseline
#define VECTOR_BYTES 16
#if defined(__x86_64__)
#define SET_NAME "sse2"
#define HAS_FLOAT16 0
#elif defined(__aarch64__)
#define SET_NAME "neon"
#define HAS_FLOAT16 1
#else
#define SET_NAME "portable"
#define HAS_FLOAT16 0
#endif
#include "set.h"
