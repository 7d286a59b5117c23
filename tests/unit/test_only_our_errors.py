"""Mistakes in a call end in one line of ours, never in a traceback of Python's or torch's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import secagg
from secagg.codec import Layout, MeanCodec
from secagg_protocols import DurableServer, RoundContext, SecAggError, SnapshotStore

LAYOUT = Layout.of({"w": np.zeros(3)})
VECTORS = [np.array([1]), np.array([2]), np.array([3])]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: MeanCodec(LAYOUT, clip="1"), "clip must be in"),  # type: ignore[arg-type]
        (lambda: MeanCodec(LAYOUT, clip=1.0, metrics={"auc": (0, 1, 2)}), "metric 'auc' needs a range"),  # type: ignore[dict-item]
        (lambda: secagg.simulate(secagg.Bonawitz(3, 1), VECTORS, drop={3}), r"drop=\{3\} is a set"),  # type: ignore[arg-type]
        (lambda: secagg.simulate(secagg.Bonawitz(3, 1), VECTORS, drop=[3]), r"drop=\[3\] is a list"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(SecAggError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_tensor_that_has_no_values_of_its_own_is_refused_by_name() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    complex_numbers = torch.zeros(3, dtype=torch.complex64)
    for tensor in (torch.zeros(3, device="meta"), torch.imag(complex_numbers.conj())):
        with pytest.raises(SecAggError, match="tensor 't' has no numpy form") as caught:
            Layout.of({"t": tensor})
        assert "\n" not in str(caught.value)


def test_a_path_may_be_a_text(tmp_path: Path) -> None:
    SnapshotStore(f"{tmp_path}/answers")
    scheme = secagg.Bonawitz(3, 1)
    DurableServer(f"{tmp_path}/round", scheme, RoundContext("job", 1, bytes(32))).close()
    identity = secagg.Identity.generate("north")
    identity.save(f"{tmp_path}/north.json")
    assert secagg.Identity.load(f"{tmp_path}/north.json").public_key == identity.public_key
    roster = secagg.Roster.of("x25519", [secagg.Identity.generate(f"{number}").public(number) for number in range(3)])
    roster.save(f"{tmp_path}/roster.json")
    assert secagg.Roster.load(f"{tmp_path}/roster.json").digest == roster.digest
    assert sorted(each.name for each in tmp_path.iterdir()) == ["answers", "north.json", "roster.json", "round"]
