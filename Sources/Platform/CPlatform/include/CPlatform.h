// System calls that Swift cannot express well: no libc wrapper, variadic, or errno to be read at once.
// Convention: each returns its result, or -errno. Nothing here allocates or keeps state.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// glibc declares it under _GNU_SOURCE only, and that would give this module other system types than Swift's own has.
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

#define VERBENA_CHECKED __attribute__((warn_unused_result)) static inline

/// Tells the core that we are spinning.
static inline void platform_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/// Has this core's cache fetch a line to write into it.
static inline void platform_prefetch_to_write(const void *address) {
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1);
#endif
}

/// Keeps the compiler, not the core, from moving accesses across it.
static inline void platform_compiler_fence(void) { __asm__ volatile("" ::: "memory"); }

/// Asks that `platform_fence_all` of any process fences this one's threads too. Whether it can be had.
static inline int platform_join_fences(void) {
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}

/// A full fence on every core that runs a thread of a process that has joined. Whether it was one. Costs microseconds.
static inline int platform_fence_all(void) { return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0; }

/// Lets whoever else can run have the core.
static inline void platform_yield(void) { (void)sched_yield(); }

/// CLOCK_MONOTONIC in nanoseconds; through the vDSO, no system call.
static inline uint64_t platform_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/// Sleeps while `*word == expected`, at most `nanoseconds`; works between processes. 0 or -errno (EAGAIN, ETIMEDOUT, EINTR are normal).
static inline int platform_futex_wait(const uint32_t *word, uint32_t expected, uint64_t nanoseconds) {
    struct timespec timeout = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
    return syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0) < 0 ? -errno : 0;
}

/// The same without the thread's timer slack, by which the kernel lets a sleep last 50 us longer; the slack is the caller's, and is put back.
static inline int platform_futex_wait_precisely(const uint32_t *word, uint32_t expected, uint64_t nanoseconds) {
    int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    int status = platform_futex_wait(word, expected, nanoseconds);
    if (slack > 0) (void)prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0);
    return status;
}

/// Wakes every sleeper on `word`.
static inline void platform_futex_wake(const uint32_t *word) { (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }

/// A descriptor that is none of the standard streams: in a program that runs with one of them closed, a new file gets its number, and what
/// the program prints would be written into it. Takes over `descriptor`; an error passes through as -errno.
static inline int platform_beside_streams(int descriptor) {
    if (descriptor < 0) return -errno;
    if (descriptor > STDERR_FILENO) return descriptor;
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int failure = errno;
    close(descriptor);
    return moved < 0 ? -failure : moved;
}

/// What says how long the calling thread has been ready to run without a core: for `platform_run_delay`. -errno where the kernel does not count.
VERBENA_CHECKED int platform_open_run_delay(void) {
    // In the thread's own name, because any thread may read.
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", (int)syscall(SYS_gettid));
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    return descriptor < 0 ? -errno : platform_beside_streams(descriptor);
}

/// In nanoseconds; 0 when the thread has ended.
static inline uint64_t platform_run_delay(int descriptor) {
    char text[96];
    ssize_t count = pread(descriptor, text, sizeof text - 1, 0);
    if (count <= 0) return 0;
    text[count] = 0;
    // "time on a core, time without one, turns"
    const char *second = strchr(text, ' ');
    return second ? strtoull(second + 1, NULL, 10) : 0;
}

/// A new pipe as one descriptor for reading and writing, so that a write to it can neither block nor raise SIGPIPE.
VERBENA_CHECKED int platform_wake_pipe(void) {
    int ends[2];
    if (syscall(SYS_pipe2, ends, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    int descriptor = platform_beside_streams(open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    close(ends[0]);
    close(ends[1]);
    return descriptor;
}

/// Opens pipe `number` of process `process` in the same way, if it is still the one of `inode`. -ESTALE where the process now has another
/// file there.
VERBENA_CHECKED int platform_open_peer_pipe(int32_t process, int32_t number, uint64_t inode) {
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", process, number);
    int descriptor = platform_beside_streams(open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (descriptor < 0) return descriptor;
    struct stat status;
    int failure = fstat(descriptor, &status) < 0 ? errno : 0;
    if (!failure && ((uint64_t)status.st_ino != inode || !S_ISFIFO(status.st_mode))) failure = ESTALE;
    if (failure) {
        close(descriptor);
        return -failure;
    }
    return descriptor;
}

/// Makes a pipe readable. One that is full is so already.
static inline void platform_pipe_wake(int descriptor) {
    char byte = 0;
    if (write(descriptor, &byte, 1) < 0) return;
}

/// Makes a pipe unreadable again; it holds a few bytes at most.
static inline void platform_pipe_drain(int descriptor) {
    char bytes[64];
    if (read(descriptor, bytes, sizeof bytes) < 0) return;
}

/// Sleeps until `descriptor` is readable, at most `nanoseconds`, rounded up: rounding down would make the last millisecond a spin.
static inline void platform_wait_readable(int descriptor, uint64_t nanoseconds) {
    struct pollfd entry = {descriptor, POLLIN, 0};
    uint64_t milliseconds = nanoseconds / 1000000u + 1;
    (void)poll(&entry, 1, milliseconds < INT_MAX ? (int)milliseconds : INT_MAX);
}

/// Anonymous shared memory of `size` zero bytes that can neither shrink nor grow: no peer can make us fault. Memory is taken
/// by `platform_populate`, not here. Where `huge`, of huge pages that the administrator set aside; `size` is a multiple of their size then.
VERBENA_CHECKED int platform_shared_memory(const char *name, uint64_t size, int huge) {
    unsigned flags = 0x0001u | 0x0002u | (huge ? 0x0004u : 0); // MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB
    int descriptor = platform_beside_streams((int)syscall(SYS_memfd_create, name, flags));
    if (descriptor < 0) return descriptor;
    int failure = ftruncate(descriptor, (off_t)size) < 0 ? errno : 0;
    if (!failure && fcntl(descriptor, 1024 + 9, 0x0002 | 0x0004) < 0) failure = errno; // F_ADD_SEALS, SHRINK | GROW
    if (failure) {
        close(descriptor);
        return -failure;
    }
    return descriptor;
}

/// Opens descriptor `number` of process `process` for reading and writing, if it is still the file `inode` of `size` bytes.
/// -ESTALE where the process now has another file there.
VERBENA_CHECKED int platform_open_peer_memory(int32_t process, int32_t number, uint64_t inode, uint64_t size) {
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", process, number);
    int descriptor = platform_beside_streams(open(path, O_RDWR | O_CLOEXEC));
    if (descriptor < 0) return descriptor;
    struct stat status;
    int failure = fstat(descriptor, &status) < 0 ? errno : 0;
    if (!failure && ((uint64_t)status.st_ino != inode || (uint64_t)status.st_size != size)) failure = ESTALE;
    if (failure) {
        close(descriptor);
        return -failure;
    }
    return descriptor;
}

/// The inode number of an open file, by which peers recognise it.
VERBENA_CHECKED int platform_inode(int descriptor, uint64_t *inode) {
    struct stat status;
    if (fstat(descriptor, &status) < 0) return -errno;
    *inode = (uint64_t)status.st_ino;
    return 0;
}

/// Maps `size` bytes of `descriptor` shared, or of no file (-1) for this process alone, in huge pages where the system allows them. NULL, with the
/// errno in `failure`, where it cannot.
VERBENA_CHECKED void *platform_map(int descriptor, uint64_t size, int *failure) {
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, descriptor < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, descriptor, 0);
    *failure = base == MAP_FAILED ? errno : 0;
    if (base == MAP_FAILED) return NULL;
    (void)madvise(base, size, MADV_HUGEPAGE); // mere advice: a kernel without, or with it switched off, answers EINVAL
    return base;
}

/// Takes the memory behind a shared mapping now and fills the page tables; the bytes stay as they are. What the file system will not
/// give is -ENOMEM here instead of SIGBUS at a later touch. It does not keep the kernel from running out of memory altogether; callers look
/// at what is available first. `offset` is page-aligned.
VERBENA_CHECKED int platform_populate(int descriptor, void *base, uint64_t offset, uint64_t size) {
    int failure;
    do failure = madvise((char *)base + offset, size, 23) < 0 ? errno : 0; // MADV_POPULATE_WRITE
    while (failure == EINTR || failure == EAGAIN);
    if (failure == EFAULT) return -ENOMEM;
    if (failure != EINVAL) return -failure;
    // Before Linux 5.14.
    do failure = descriptor < 0 ? 0 : posix_fallocate(descriptor, (off_t)offset, (off_t)size);
    while (failure == EINTR);
    if (failure) return -failure;
    for (uint64_t touched = 0; touched < size; touched += 4096) (void)*((volatile const char *)base + offset + touched);
    return 0;
}

/// Free huge pages of the default size, times that size, in bytes are at least `size`: the size of such a page, else 0.
VERBENA_CHECKED uint64_t platform_free_huge_page(uint64_t size) {
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file) return 0;
    unsigned long long available = 0, kibibytes = 0;
    char line[128];
    while (fgets(line, sizeof line, file)) {
        (void)sscanf(line, "HugePages_Free: %llu", &available);
        (void)sscanf(line, "Hugepagesize: %llu kB", &kibibytes);
    }
    fclose(file);
    return kibibytes && available * kibibytes * 1024 >= size ? kibibytes * 1024 : 0;
}

/// The cores that the calling thread may run on, as bits of up to `count` words. How many words were filled, or -errno.
VERBENA_CHECKED int platform_usable_cores(uint64_t *words, int count) {
    long bytes = syscall(SYS_sched_getaffinity, 0, (size_t)count * sizeof *words, words);
    return bytes < 0 ? -errno : (int)((size_t)bytes / sizeof *words);
}

/// Has the calling thread, and those that it starts, run on these cores only, in the same form. 0 or -errno.
VERBENA_CHECKED int platform_use_cores(const uint64_t *words, int count) {
    return syscall(SYS_sched_setaffinity, 0, (size_t)count * sizeof *words, words) < 0 ? -errno : 0;
}

/// Raises the soft limit on open files to the hard one, but not above `most`; lowers nothing. Gives the limits that hold then. 0 or -errno.
VERBENA_CHECKED int platform_raise_open_files(uint64_t most, uint64_t *soft, uint64_t *hard) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    rlim_t wanted = limit.rlim_max < most ? limit.rlim_max : (rlim_t)most;
    rlim_t before = limit.rlim_cur;
    if (before < wanted) {
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) limit.rlim_cur = before;
    }
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return 0;
}

/// This process's number as /proc has it, which is not getpid() where /proc belongs to an outer PID namespace. -errno without /proc.
VERBENA_CHECKED int32_t platform_proc_number(void) {
    char text[16] = {0};
    if (readlink("/proc/self", text, sizeof text - 1) < 0) return -errno;
    int32_t number = 0;
    return sscanf(text, "%d", &number) == 1 ? number : -ESRCH;
}

/// Whether other processes of the same user may look into this one (prctl(2), PR_GET_DUMPABLE).
static inline int platform_is_dumpable(void) { return prctl(PR_GET_DUMPABLE) == 1; }

/// A descriptor that becomes readable when `process` ends.
VERBENA_CHECKED int platform_process_descriptor(int32_t process) {
    return platform_beside_streams((int)syscall(SYS_pidfd_open, process, 0));
}

/// Whether the process behind a process descriptor has ended.
static inline int platform_process_ended(int descriptor) {
    struct pollfd entry = {descriptor, POLLIN, 0};
    return poll(&entry, 1, 0) > 0;
}

/// Starts a program that inherits the standard streams and no other descriptor: a child that held a server's sockets would keep
/// them open. 0 or errno.
VERBENA_CHECKED int platform_spawn(pid_t *child, const char *path, char *const *arguments, char *const *environment) {
    posix_spawn_file_actions_t actions;
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure) return failure;
    failure = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    if (!failure) failure = posix_spawn(child, path, &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

/// From now on ended children stay until they are waited for, where the process has it otherwise: SIGCHLD ignored, or SA_NOCLDWAIT.
/// A handler of the process's own is left alone. `previous` is for `platform_restore_child_signal`.
/// 1 where that had to be changed, 0 where not, or -errno.
VERBENA_CHECKED int platform_keep_ended_children(struct sigaction *previous) {
    if (sigaction(SIGCHLD, NULL, previous) < 0) return -errno;
    struct sigaction keeping = *previous;
    keeping.sa_flags &= ~SA_NOCLDWAIT;
    if (!(keeping.sa_flags & SA_SIGINFO) && keeping.sa_handler == SIG_IGN) keeping.sa_handler = SIG_DFL;
    if (keeping.sa_flags == previous->sa_flags && keeping.sa_handler == previous->sa_handler) return 0;
    return sigaction(SIGCHLD, &keeping, NULL) < 0 ? -errno : 1;
}

static inline void platform_restore_child_signal(const struct sigaction *previous) { (void)sigaction(SIGCHLD, previous, NULL); }

/// What the system calls the calling thread: the first 15 bytes of `name`.
static inline void platform_name_thread(const char *name) { (void)prctl(PR_SET_NAME, name); }

/// This process gets SIGKILL when the thread that started it ends; 0, or -ESRCH where its parent is no longer `parent`.
VERBENA_CHECKED int platform_die_with_parent(int32_t parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return -errno;
    return getppid() == parent ? 0 : -ESRCH;
}
