"""Optional dependencies: a missing one is reported by the name of the extra that brings it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from secagg_protocols.errors import MissingExtra, ParameterError, install_line

__all__ = ["MissingExtra", "check_version", "needed"]

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


def check_version(extra: str, package: str, tested: str) -> None:
    """Raise `ParameterError` for another version of a package than an adapter was tested with. tested: as in "2.9.0":
    patches of it fit, too."""
    found = version(package)
    series = tested.rpartition(".")[0]
    if found.rpartition(".")[0] != series:
        raise ParameterError(
            f"{package} {found} is installed, and this adapter was tested with {tested} (fits {series}.*): "
            f"{install_line(extra)}"
        )
