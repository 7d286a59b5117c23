"""Messages of Plain: each participant sends its vector, in blocks. The server answers nothing."""

from __future__ import annotations

from typing import Annotated

from ..core.exchange import Binding, Exchange, Row, Sent
from ..core.fields import Block, at_most
from ..core.step import Step
from ..core.wire import Message


class Sum(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of the packed vector, in the clear. block: from 0. words: low bytes, little-endian."""

    block: Block
    words: Annotated[memoryview, at_most("block_bytes")]


EXCHANGE = Exchange((Row(Step.SUM, (), (Sent(Sum, Binding.ADDRESS, many=True),), vector=True),))
