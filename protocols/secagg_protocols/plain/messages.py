"""Messages of Plain: each participant sends its vector, in blocks. The server answers nothing."""

from __future__ import annotations

from typing import Annotated

from ..core.fields import Block, at_most
from ..core.wire import Message


class Sum(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of the packed vector, in the clear. block: from 0. words: low bytes, little-endian."""

    block: Block
    words: Annotated[memoryview, at_most("block_bytes")]
