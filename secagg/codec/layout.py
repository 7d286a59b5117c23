"""Layout: which arrays, in which order, make up one flat vector.

Tensors are recognised by their `detach` method, so that torch is never imported here; they come back as ndarrays
(`torch.from_numpy` shares their memory).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from secagg_protocols.errors import InputError

Arrays = Mapping[str, Any] | Sequence[Any]
FloatArray = npt.NDArray[np.floating[Any]]

FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True, slots=True)
class Layout:
    """Names, shapes and dtypes of the arrays in one flat vector, in order. Make it with `Layout.of`.

    names   one per array, unique; "0", "1", ... for a sequence
    shapes  one per array
    dtypes  one per array: "float16", "float32" or "float64"
    kind    what `unflatten` gives back: a dict ("mapping") or a list ("sequence")

    Raises InputError when the four do not describe at least one coordinate of floats.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    kind: Literal["mapping", "sequence"] = "mapping"

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.shapes) == len(self.dtypes):
            raise InputError(
                f"a layout needs one shape and one dtype per name, got {len(self.names)} names, "
                f"{len(self.shapes)} shapes and {len(self.dtypes)} dtypes"
            )
        if len(set(self.names)) != len(self.names):
            raise InputError("a layout's names must be unique: rename the repeated ones")
        if self.kind not in ("mapping", "sequence"):
            raise InputError(f"kind must be 'mapping' or 'sequence', not {self.kind!r}")
        for name, shape, dtype in zip(self.names, self.shapes, self.dtypes, strict=True):
            _check_dtype(name, dtype)
            if any(side < 0 for side in shape):
                raise InputError(f"array {name!r} has a negative side in its shape {shape}")
        if self.size == 0:
            raise InputError("there is nothing to aggregate: pass at least one array that is not empty")

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        """The layout of `arrays`: a mapping name -> ndarray or tensor (a state dict), or a sequence of them.

        Order is the order given; every participant must give the same one (compare `digest`).
        Raises InputError naming the array that is not of floats, and what to do with it.
        """
        kind, named = _named(arrays)
        views = {name: _as_numpy(name, value) for name, value in named.items()}
        return cls(
            names=tuple(views),
            shapes=tuple(view.shape for view in views.values()),
            dtypes=tuple(view.dtype.name for view in views.values()),
            kind=kind,
        )

    @property
    def size(self) -> int:
        """Number of coordinates: elements of all arrays together."""
        return sum(prod(shape) for shape in self.shapes)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The widest of the arrays' dtypes, which holds all of them exactly; the dtype of the flat vector."""
        return np.result_type(*self.dtypes)

    @property
    def digest(self) -> bytes:
        """SHA-256 (32 bytes) of names, shapes and dtypes in order: equal for all who encode alike."""
        entries = list(zip(self.names, self.shapes, self.dtypes, strict=True))
        return hashlib.sha256(json.dumps(["secagg.codec.Layout/1", entries]).encode()).digest()

    def parts(self, arrays: Arrays) -> Iterator[tuple[str, FloatArray]]:
        """Each array's name and its elements as a flat array (size,), in layout order; one array held at a time.

        Raises InputError naming a missing or unexpected array, or a wrong shape or dtype.
        """
        kind, named = _named(arrays)
        if kind != self.kind:
            raise InputError(f"expected a {self.kind} of arrays as in the layout, got a {kind}")
        if missing := [name for name in self.names if name not in named]:
            raise InputError(f"array {missing[0]!r} is missing ({len(missing)} in all): pass every array of the layout")
        if extra := [name for name in named if name not in set(self.names)]:
            raise InputError(f"array {extra[0]!r} is not in the layout ({len(extra)} in all): leave it out")
        for name, shape, dtype in zip(self.names, self.shapes, self.dtypes, strict=True):
            view = _as_numpy(name, named[name])
            if view.shape != shape:
                raise InputError(f"array {name!r} has shape {view.shape}, the layout says {shape}: reshape it")
            if view.dtype.name != dtype:
                raise InputError(f"array {name!r} is {view.dtype.name}, the layout says {dtype}: cast it to {dtype}")
            yield name, view.reshape(-1)

    def flatten(self, arrays: Arrays) -> FloatArray:
        """All arrays, C order, end to end: a new vector (size,) of `dtype`. Raises InputError as `parts` does."""
        vector = np.empty(self.size, dtype=self.dtype)
        start = 0
        for _, part in self.parts(arrays):
            vector[start : start + part.size] = part
            start += part.size
        return vector

    def unflatten(self, vector: FloatArray) -> dict[str, FloatArray] | list[FloatArray]:
        """The arrays of a flat vector (size,), as a dict or a list; views of `vector` where the dtype allows.

        Raises InputError on a wrong length.
        """
        if vector.shape != (self.size,):
            raise InputError(f"the vector has shape {vector.shape}, the layout needs ({self.size},)")
        arrays: dict[str, FloatArray] = {}
        start = 0
        for name, shape, dtype in zip(self.names, self.shapes, self.dtypes, strict=True):
            stop = start + prod(shape)
            arrays[name] = vector[start:stop].reshape(shape).astype(dtype, copy=False)
            start = stop
        return arrays if self.kind == "mapping" else list(arrays.values())


def _named(arrays: Arrays) -> tuple[Literal["mapping", "sequence"], Mapping[str, Any]]:
    if isinstance(arrays, Mapping):
        for name in arrays:
            if not isinstance(name, str):
                raise InputError(f"array names must be strings, got {name!r}: rename it")
        return "mapping", arrays
    if isinstance(arrays, Sequence) and not isinstance(arrays, str | bytes | bytearray):
        return "sequence", {str(index): value for index, value in enumerate(arrays)}
    raise InputError(f"expected a mapping or a sequence of arrays, got {type(arrays).__name__}: wrap it in a list")


def _as_numpy(name: str, value: Any) -> FloatArray:
    """A numpy view of an ndarray or tensor of floats; copies only from another device."""
    if hasattr(value, "detach"):
        try:
            value = value.detach().cpu().numpy()
        except (TypeError, RuntimeError) as error:  # no such dtype or storage, no data at all, a lazy negation
            raise InputError(
                f"tensor {name!r} has no numpy form: give a dense one, e.g. with .to_dense().float() or "
                f".resolve_neg(); {_first_sentence(error)}"
            ) from error
    if not isinstance(value, np.ndarray | np.generic):
        raise InputError(f"{name!r} is a {type(value).__name__}: pass a numpy array or a torch tensor")
    _check_dtype(name, value.dtype.name)
    return np.asarray(value)


def _first_sentence(error: Exception) -> str:
    return str(error).partition(". ")[0].strip()


def _check_dtype(name: str, dtype: str) -> None:
    if dtype not in FLOATS:
        raise InputError(
            f"array {name!r} is {dtype}, only {', '.join(FLOATS)} are averaged: "
            "leave it out and keep it local (counters, flags), or cast it to float32"
        )
