"""Optional dependencies: a missing one is reported by the name of the extra that brings it."""

from collections.abc import Iterator
from contextlib import contextmanager

from secagg_protocols.errors import MissingExtra

__all__ = ["MissingExtra", "needed"]

OURS = frozenset({"secagg", "secagg_bench", "secagg_he", "secagg_protocols"})


@contextmanager
def needed(extra: str) -> Iterator[None]:
    """Wrap the imports of third-party packages that `extra` brings.

    Raises: MissingExtra, when one of them is not installed. A missing module of our own is a bug and passes through.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        module = (missing.name or "a package").partition(".")[0]
        if module in OURS:
            raise
        raise MissingExtra(extra, module) from missing
