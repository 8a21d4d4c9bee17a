"""libverbena.so by ctypes: each function of verbena.h that the package calls, with its types."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from .errors import BY_CODE, VerbenaError


class Error(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("code", c_int32), ("rank", c_int32), ("is_known_to_all", c_int32), ("reserved", c_int32), ("message", c_char_p),
    ]


class JoinOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("world_size", c_int32), ("rank", c_int32), ("address", c_char_p), ("port", c_int32), ("reserved", c_int32),
        ("secret", c_char_p), ("job_id", c_char_p), ("fabric", c_char_p), ("devices", c_char_p), ("devices_per_rank", c_int32),
        ("channels_per_peer", c_int32), ("progress", c_char_p), ("join_timeout_seconds", c_double), ("liveness_timeout_seconds", c_double),
        ("stall_timeout_seconds", c_double), ("receive_buffer_bytes", c_int64),
    ]


# P handle or address, S text, I int, L int64_t, D double, & what receives a handle. The result is int unless it stands before a colon.
_SIGNATURES = {
    "version": "S:", "join": "P&", "split": "PLL&", "close": "P", "leave": "P", "abort": "PS", "communicator_free": "P", "status": "P",
    "rank": "P", "world_size": "P", "local_rank": "P", "local_world_size": "P", "fabric_name": "S:P", "device_name": "S:P",
    "allocate": "PIL&", "register": "PPIL&", "own_memory": "PI&", "attach": "PP", "buffer_release": "P", "buffer_free": "P",
    "buffer_view": "PI&", "buffer_data": "P:P",
    "all_reduce": "PPLPLLID", "start_all_reduce": "PPLPLLI&", "reduce_scatter": "PPLPLLID", "start_reduce_scatter": "PPLPLLI&",
    "all_gather": "PPLPLLD", "start_all_gather": "PPLPLL&", "all_to_all": "PPLPLLD", "start_all_to_all": "PPLPLL&",
    "broadcast": "PPLLID", "start_broadcast": "PPLLI&", "reduce": "PPLPLLIID", "start_reduce": "PPLPLLII&",
    "gather": "PPLPLLID", "start_gather": "PPLPLLI&", "scatter": "PPLPLLID", "start_scatter": "PPLPLLI&",
    "barrier": "PD", "start_barrier": "P&",
    "all_gather_v": "PPLPLPD", "reduce_scatter_v": "PPLPLPID", "all_to_all_v": "PPLPLPPD",
    "send": "PPLLID", "start_send": "PPLLI&", "receive": "PPLLID", "start_receive": "PPLLI&",
    "explain": "L:PILIPL", "test": "P", "wait": "PDP", "wait_any": "PLDP", "request_free": "P",
}
_TYPES = {"P": c_void_p, "S": c_char_p, "I": c_int, "L": c_int64, "D": c_double, "&": POINTER(c_void_p)}


def _path() -> str:
    named = os.environ.get("VERBENA_LIBRARY")
    return named if named else str(Path(__file__).parent / "lib" / "libverbena.so")


def _load() -> ctypes.CDLL:
    path = _path()
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"{path} cannot be loaded ({error}); install the wheel of this machine, or name a library in VERBENA_LIBRARY") from None
    for name, signature in _SIGNATURES.items():
        function = getattr(library, "verbena_" + name)
        result, _, parameters = signature.rpartition(":")
        function.restype = _TYPES[result] if result else c_int
        function.argtypes = [_TYPES[letter] for letter in parameters]
    library.verbena_last_error.restype = POINTER(Error)
    return library


library: Any = _load()


def failure() -> VerbenaError:
    """The error of the last call on this thread that failed, as an exception."""
    error = library.verbena_last_error().contents
    message = error.message.decode(errors="replace") if error.message else "it failed"
    kind = BY_CODE.get(error.code, VerbenaError)
    return kind(message, None if error.rank < 0 else error.rank, bool(error.is_known_to_all))


def check(result: int) -> int:
    """Raises the error where a call has failed."""
    if result < 0:
        raise failure()
    return result


def handle(call: Any, *arguments: Any) -> int:
    """Calls a function whose last parameter receives a handle; gives the handle, 0 for none."""
    made = c_void_p()
    check(call(*arguments, ctypes.byref(made)))
    return made.value or 0
