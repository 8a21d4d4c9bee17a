#include "CVerbena.h"

#include <string.h>

static _Thread_local struct {
    struct verbena_error error;
    char message[2001];
} last;

const struct verbena_error *verbena_last_error(void) {
    last.error.size = sizeof last.error;
    if (last.error.message == NULL) {
        last.error.rank = -1;
        last.error.message = last.message;
    }
    return &last.error;
}

void cverbena_keep_error(int32_t code, int32_t rank, int32_t is_known_to_all, const char *message) {
    size_t length = strnlen(message, sizeof last.message);
    if (length == sizeof last.message) {
        /* No character is cut in the middle. */
        length = sizeof last.message - 1;
        while (length > 0 && ((unsigned char)message[length] & 0xC0) == 0x80) length--;
    }
    for (size_t i = 0; i < length; i++) last.message[i] = message[i] == '\n' ? ' ' : message[i];
    last.message[length] = 0;
    last.error = (struct verbena_error){
        .size = sizeof last.error, .code = code, .rank = rank, .is_known_to_all = is_known_to_all, .message = last.message};
}

void cverbena_read_pipe_signal(struct sigaction *action) { (void)sigaction(SIGPIPE, NULL, action); }

void cverbena_restore_pipe_signal(const struct sigaction *action) {
    if (action->sa_flags & SA_SIGINFO || action->sa_handler != SIG_DFL) (void)sigaction(SIGPIPE, action, NULL);
}
