/* What Swift takes of C beside the face: not installed. */
#ifndef CVERBENA_H
#define CVERBENA_H

#include <signal.h>

#include "verbena.h"

/* Keeps the error of this thread for verbena_last_error; copies the message. */
void cverbena_keep_error(int32_t code, int32_t rank, int32_t is_known_to_all, const char *message);

/* What the program does at SIGPIPE, and that it does so again: unless it did nothing of its own, for then the signal stays ignored. */
void cverbena_read_pipe_signal(struct sigaction *action);
void cverbena_restore_pipe_signal(const struct sigaction *action);

#endif
