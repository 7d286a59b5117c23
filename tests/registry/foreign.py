"""Two schemes of another package, as their author would write them: no line of secagg knows of either.

`Open`: one message, no keys, no shares. `Mine`: Bonawitz' machines under another name and in another class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import secagg
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.server import BonawitzServer
from secagg_protocols.dealing import Dealing
from secagg_protocols.plain.client import PlainClient
from secagg_protocols.plain.server import PlainServer

_BORROWED = ("exchange", "secrets", "work", "opened_by", "share_bytes")
_SIZES = ("commitments_bytes", "share_root_bytes", "share_digests_bytes", "opened_bytes")
"""What its messages name: how long their fields are."""


@dataclass(frozen=True)
class Open(secagg.Scheme):
    """The sum in the clear, as somebody else would write it."""

    name: ClassVar[str] = "open"
    upload_step: ClassVar[secagg.Step] = secagg.Step.SUM
    traits: ClassVar[secagg.Traits] = secagg.Traits(
        protects=False, adversaries=frozenset(), keys=secagg.Keys.NONE, early_keys=False, opens=frozenset()
    )
    quorum: ClassVar[int] = 2
    exchange: ClassVar[Any] = secagg.Plain.exchange
    secrets: ClassVar[tuple[()]] = ()
    leakage: ClassVar[tuple[tuple[str, str], ...]] = (("the server", "all of it"), ("other participants", "nothing"))
    guarantee: ClassVar[secagg.Guarantee] = secagg.Guarantee(
        adversary=None,
        colluders=0,
        statistical_bits=None,
        opened_by=(secagg.Coalition(0, "every vector"),),
        sum_known_to="server",
    )

    def minimum_threshold(self, colluders: int) -> int:
        return 2

    def work(self, run: secagg.MeasuredRound) -> tuple[secagg.Work, secagg.Work]:
        return secagg.Work(), secagg.Work()

    machines: ClassVar[tuple[Any, Any]] = (PlainClient, PlainServer)


@dataclass(frozen=True)
class Mine(Dealing):
    """Bonawitz' machines, and what they are for said anew."""

    name: ClassVar[str] = "mine"
    upload_step: ClassVar[secagg.Step] = secagg.Step.MASKED_INPUT
    opening_step: ClassVar[secagg.Step] = secagg.Step.UNMASKING
    traits: ClassVar[secagg.Traits] = secagg.Traits(
        protects=True,
        adversaries=frozenset(secagg.Adversary),
        keys=secagg.Keys.OWN,
        early_keys=True,
        opens=frozenset({"self_mask_seeds", "mask_keys"}),
    )

    for _name in (*_BORROWED, *_SIZES):
        locals()[_name] = vars(secagg.Bonawitz)[_name]
    del _name

    machines: ClassVar[tuple[Any, Any]] = (BonawitzClient, BonawitzServer)
