"""Runs a command under a seccomp filter that refuses some system calls, as a container's profile does: refuse.py ERRNO NUMBER[,NUMBER...] COMMAND..."""
import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000

refusal = int(sys.argv[1])
numbers = [int(word) for word in sys.argv[2].split(",")]


def instruction(code, yes, no, value):
    return struct.pack("=HBBI", code, yes, no, value)


# The system call's number is the first word; each comparison jumps over the rest to the refusal at the end.
program = instruction(LOAD_WORD, 0, 0, 0)
for index, number in enumerate(numbers):
    program += instruction(JUMP_EQUAL, len(numbers) - index, 0, number)
program += instruction(RETURN, 0, 0, ALLOW) + instruction(RETURN, 0, 0, REFUSE | refusal)
memory = ctypes.create_string_buffer(program)


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("no_new_privs: " + os.strerror(ctypes.get_errno()))
wanted = Filter(len(program) // 8, ctypes.addressof(memory))
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(wanted), 0, 0) != 0:
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[3], sys.argv[3:])
