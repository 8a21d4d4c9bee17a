"""Why a call failed, as exceptions: one class for each cause, with the rank at fault."""

from __future__ import annotations

from typing import Dict, Type


class VerbenaError(RuntimeError):
    """A call of the library failed.

    Attributes:
        cause: ``"died"``, ``"unreachable"``, ``"stalled"``, ``"disagreed"``, ``"aborted"``, ``"left"``, ``"closed"``, ``"configuration"`` or ``"resource"``.
        rank: the rank at fault, by its number in the job; None where there is none.
        is_known_to_all: whether every rank gets this error, so that the job is over. If not, the others wait for this rank until it comes,
            leaves, or calls ``abort``.
    """

    cause = ""

    def __init__(self, message: str, rank: "int | None" = None, is_known_to_all: bool = False) -> None:
        super().__init__(message)
        self.rank = rank
        self.is_known_to_all = is_known_to_all


class DiedError(VerbenaError):
    """A rank's process has ended without taking leave."""

    cause = "died"


class UnreachableError(VerbenaError):
    """Nothing is heard of a rank for longer than a bound, or no way leads to it."""

    cause = "unreachable"


class StalledError(VerbenaError):
    """A rank lives, but did not come to a call, or moved nothing, within a bound."""

    cause = "stalled"


class DisagreedError(VerbenaError):
    """Ranks make different calls."""

    cause = "disagreed"


class AbortedError(VerbenaError):
    """A rank's program has ended the job."""

    cause = "aborted"


class LeftError(VerbenaError):
    """A rank took leave while others still needed it."""

    cause = "left"


class ClosedError(VerbenaError):
    """This rank has closed, left or released what it still asks something of."""

    cause = "closed"


class ConfigurationError(VerbenaError, ValueError):
    """The environment, an option, an argument or the order of calls is wrong. Nothing has moved."""

    cause = "configuration"


class ResourceError(VerbenaError):
    """Memory, descriptors, a device or permission are short."""

    cause = "resource"


#: By the codes of verbena.h.
BY_CODE: Dict[int, Type[VerbenaError]] = {
    -1: DiedError,
    -2: UnreachableError,
    -3: StalledError,
    -4: DisagreedError,
    -5: AbortedError,
    -6: LeftError,
    -7: ClosedError,
    -8: ConfigurationError,
    -9: ResourceError,
}
