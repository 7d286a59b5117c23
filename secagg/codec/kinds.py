"""The codecs that are known to this process, by the kind of their terms: one version of each."""

from __future__ import annotations

import re
from typing import TypeVar

from secagg_protocols.core.wire import decode
from secagg_protocols.errors import ParameterError, WireError

from .interface import Terms

TERMS_LIMIT = 1 << 16
"""Longest encoded terms, in bytes."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_NAME = 64


T = TypeVar("T", bound=type[Terms])

_KNOWN: dict[str, type[Terms]] = {}


def register(terms: T) -> T:
    """Make a codec known to this process, by its terms; for use as a decorator. Raises `ParameterError`.

    A participant encodes by no codec that its own program did not register.
    """
    kind = getattr(terms, "kind", None)
    version = getattr(terms, "version", None)
    if not (isinstance(kind, str) and _NAME.fullmatch(kind) and len(kind) <= _MAX_NAME):
        raise ParameterError(f"the kind {kind!r} of {terms.__qualname__} is not lower-case words joined by hyphens")
    if type(version) is not int or version < 1:
        raise ParameterError(f"the version {version!r} of codec {kind!r} must be an int of at least 1")
    if (other := _KNOWN.get(kind, terms)) is not terms:
        raise ParameterError(f"two codecs are called {kind!r}, {_path(other)} and {_path(terms)}: rename one")
    _KNOWN[kind] = terms
    return terms


def terms_called(kind: str) -> type[Terms]:
    """Return the terms of the codec of this kind. Raises `ParameterError` for an unknown one."""
    if kind not in _KNOWN:
        raise ParameterError(f"codec={kind!r} is unknown; choose from {', '.join(sorted(_KNOWN))}")
    return _KNOWN[kind]


def read_terms(kind: str, version: int, data: bytes) -> Terms:
    """Decode what somebody else proposes. Raises `WireError`; for an unknown kind or version it names both sides'."""
    known = _KNOWN.get(kind)
    if known is None:
        here = ", ".join(f"{name} (version {terms.version})" for name, terms in sorted(_KNOWN.items()))
        raise WireError(f"the codec {kind[:_MAX_NAME]!r} (version {version}) is unknown; this side knows {here}")
    if version != known.version:
        raise WireError(f"the codec {kind!r} is of version {version}, this side speaks version {known.version}")
    return decode(known, data, TERMS_LIMIT)


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
