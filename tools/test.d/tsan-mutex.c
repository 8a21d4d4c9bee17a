// Tells thread sanitizer when a thread that had to wait for a Mutex of Swift's standard library has it, and when it gives it back.
//
// A Mutex is a word: an exchange takes and frees it, which the sanitizer sees in our code, and a futex makes waiters sleep, in the
// library, which is compiled without the sanitizer. So it sees no order between a thread that waited and the one that let it go on, and
// would report what the Mutex guards as a race. The linker puts these functions around the library's (--wrap). The word's
// own clock is the one that the exchanges in our code use, so nothing is ordered that the Mutex does not order, and nothing is hidden.
#include <stdint.h>

#define SWIFT_METHOD __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

extern void __tsan_acquire(void *word);
extern void __tsan_release(void *word);

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

extern SWIFT_METHOD void lock(uint32_t thread, SELF void *word) __asm__("__real_" LOCK);
extern SWIFT_METHOD _Bool try_lock(SELF void *word) __asm__("__real_" TRY);
extern SWIFT_METHOD void unlock(SELF void *word) __asm__("__real_" UNLOCK);

SWIFT_METHOD void lock_and_tell(uint32_t thread, SELF void *word) __asm__("__wrap_" LOCK);
SWIFT_METHOD _Bool try_lock_and_tell(SELF void *word) __asm__("__wrap_" TRY);
SWIFT_METHOD void unlock_and_tell(SELF void *word) __asm__("__wrap_" UNLOCK);

SWIFT_METHOD void lock_and_tell(uint32_t thread, SELF void *word) {
    lock(thread, word);
    __tsan_acquire(word);
}

SWIFT_METHOD _Bool try_lock_and_tell(SELF void *word) {
    _Bool is_ours = try_lock(word);
    if (is_ours) __tsan_acquire(word);
    return is_ours;
}

SWIFT_METHOD void unlock_and_tell(SELF void *word) {
    __tsan_release(word);
    unlock(word);
}
