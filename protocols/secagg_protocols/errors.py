"""Whose fault it is, as types. A failed check raises one of these; nothing returns a bool.

`ParameterError`  the public parameters are refused (before anything is sent)
`LocalError`      our own caller did something wrong; the machine is as it was
`RemoteError`     the other side did; `culprits` says who, as far as signed content can say
`RoundFailed`     too few participants are left, or what they gave is no sum
"""

from __future__ import annotations

from collections.abc import Iterable

SERVER = 0
"""The server's address and its id in `culprits`. Participants are 1..n; no share is ever made for point 0."""


class SecAggError(Exception):
    """Base of every error this project raises on purpose. The message is one line: the value and the remedy."""


class ParameterError(SecAggError, ValueError):
    """A public parameter is out of range or insecure under the stated threat model."""


class LocalError(SecAggError):
    """The caller's fault. The machine that raised it is as it was."""


class StateError(LocalError):
    """A call or message that the machine's transition table does not list for its present state."""


class InputError(LocalError, ValueError):
    """A vector, array or file that cannot be used: wrong length, type, range, or not a number."""


class Declined(LocalError):
    """What this participant's own rules do not let it do in this round, however often it is asked.

    The machine is as it was; its `abort` says so to the server.
    """


class RepeatedContext(Declined):
    """This participant has already answered: with a vector for the same model and settings, or otherwise to the same.

    Answering again, in a round with one participant fewer, would let the server subtract the two sums; dealing the same
    secrets to others, or opening them for others, would let it put both halves together.
    """


class WorkerLost(LocalError):
    """A worker of the server's executor, or the executor itself, is gone: no sum came out.

    The machine is as it was. Give the server another executor, or none, and call `advance` again. A participant never
    raises it: it does the work itself.
    """


class MissingExtra(ImportError):
    """A feature needs a package that the base install leaves out. The text names the extra that brings it."""

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(f"{module} is not installed; in your clone of secagg: {install_line(extra)}", name=module)
        self.extra = extra


def install_line(extra: str) -> str:
    """Return the command that brings an extra: from a clone, as no index holds this project under its name."""
    return f"pip install -c constraints.txt -e '.[{extra}]'"


class RemoteError(SecAggError):
    """The other side's fault. `culprits` holds ids (0 is the server); empty when nobody can be named."""

    def __init__(self, message: str, culprits: Iterable[int] = ()) -> None:
        super().__init__(message)
        self.culprits = frozenset(culprits)


class WireError(RemoteError):
    """Bytes that are not an envelope for this machine: malformed, oversized, foreign. The machine is as it was."""


class AuthenticationError(RemoteError):
    """A signature or seal does not verify. The machine is as it was.

    It proves nothing against the supposed sender, so `culprits` is empty.
    """


class LateMessage(RemoteError):
    """A message for a step that is already closed; it is refused and the machine is as it was."""


class ProtocolViolation(RemoteError):
    """Authenticated but invalid content. A client aborts; a server drops that one participant."""


class RoundFailed(SecAggError):
    """Too few participants are left to finish, or what they gave is no sum; no sum comes out.

    Attributes: `step` (the step's name), `have` and `need` (participants), `culprits` (ids to blame, if any).
    """

    def __init__(self, step: str, have: int, need: int, why: str = "", culprits: Iterable[int] = ()) -> None:
        if have < need:
            what = f"have {have} of the {need} participants needed" + (f" ({why})" if why else "")
        else:
            what = f"{why or 'no sum came out'}, though {have} are there and {need} are enough"
        super().__init__(f"round failed at {step}: {what}; no sum was released")
        self.step = step
        self.have = have
        self.need = need
        self.culprits = frozenset(culprits)
