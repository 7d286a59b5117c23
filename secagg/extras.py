"""Optional dependencies: a missing one is reported by the name of the extra that brings it."""

from collections.abc import Iterator
from contextlib import contextmanager

OURS = frozenset({"secagg", "secagg_bench", "secagg_he", "secagg_protocols"})


class MissingExtra(ImportError):
    """A feature needs a package that the base install leaves out. The text names the extra that brings it."""

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(f"{module} is not installed; it comes with: pip install 'secagg[{extra}]'", name=module)
        self.extra = extra


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
