"""What server and participant say to each other, in Flower's records.

Two records of ours travel in a train message: a ConfigRecord (the proposal, and keys and shares), and an ArrayRecord
for envelopes that are large, because Flower cuts arrays into chunks and nothing else. Whatever stands beside them is
the inner strategy's: its model and its configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from secagg.codec import Codec, Layout
from secagg_protocols import InputError, ProtocolViolation, Scheme
from secagg_protocols.wire import Message, decode, encode

SMALL, LARGE = "secagg", "secagg-blocks"
CHUNKED_FROM = 1 << 16
"""Envelopes of one message go into arrays from this many bytes on, all together."""

_PROPOSAL_BYTES = 1 << 16


class CodecTerms(Message, frozen=True):
    """The codec, but for the layout, which follows from the model. weight_max: 0 for a plain mean.

    metrics: (name, low, high). weight_key: the name of the metric that is the weight.
    """

    clip: float
    value_bits: int
    weight_max: int
    metrics: tuple[tuple[str, float, float], ...]
    weight_key: str

    def codec(self, layout: Layout) -> Codec:
        """Return the codec for a model's layout. Raises `ParameterError`."""
        return Codec(
            layout,
            clip=self.clip,
            value_bits=self.value_bits,
            weight_max=self.weight_max or None,
            metrics={name: (low, high) for name, low, high in self.metrics},
        )


class Proposal(Message, frozen=True):
    """What the server proposes for one round. Public, and the same for all participants.

    scheme, participants, length, parameters: what `make_scheme` takes. round: its number in the run.
    context_digest: 32 bytes over model, configuration and codec (`encoding.context_digest`). with_run_config: whether
    the run's configuration is in it; if not, the trainer gets none. ahead: whether keys for the next round are wanted
    with the last answer.
    """

    scheme: str
    participants: int
    length: int
    parameters: dict[str, bool | int | float | str]
    round: int
    context_digest: bytes
    codec: CodecTerms
    with_run_config: bool
    ahead: bool

    @classmethod
    def of(
        cls,
        scheme: Scheme,
        round_number: int,
        context_digest: bytes,
        codec: CodecTerms,
        *,
        with_run_config: bool,
        ahead: bool,
    ) -> Proposal:
        """Describe a scheme, so that a participant can make an equal one."""
        shape = {"participants", "length"}
        parameters = {item.name: getattr(scheme, item.name) for item in fields(scheme) if item.name not in shape}
        said = {name: str(value) if isinstance(value, str) else value for name, value in parameters.items()}
        said = {name: value for name, value in said.items() if value is not None}
        shape_of = scheme.name, scheme.participants, scheme.length
        return cls(*shape_of, said, round_number, context_digest, codec, with_run_config, ahead)


@dataclass(frozen=True, slots=True)
class Request:
    """One message of the server. participant: the id it gives the node; 0 where the node's roster says it.

    envelopes: encoded; none where the participant is to begin.
    """

    proposal: Proposal
    participant: int
    envelopes: tuple[bytes, ...]

    def write(self, content: RecordDict) -> RecordDict:
        """Return `content` with this request beside it; `content` itself, which messages share, stays as it is."""
        asked = RecordDict(dict(content))
        _write(asked, {"proposal": encode(self.proposal), "participant": self.participant}, self.envelopes)
        return asked

    @classmethod
    def read(cls, content: RecordDict) -> Request:
        """Read the request in a train message. Raises `ProtocolViolation` when there is none."""
        own = content.config_records.get(SMALL)
        if own is None:
            raise ProtocolViolation(
                "a train message without a step of the protocol: this ClientApp gives no update outside secure "
                "aggregation; wrap the strategy: SecAgg(strategy)"
            )
        proposal, participant = own.get("proposal"), own.get("participant")
        if not isinstance(proposal, bytes) or not isinstance(participant, int):
            raise ProtocolViolation("a train message whose secagg record holds no proposal")
        return cls(decode(Proposal, proposal, _PROPOSAL_BYTES), participant, tuple(read_envelopes(content)))


def write_answer(envelopes: Sequence[bytes]) -> RecordDict:
    """Return the content of a participant's reply: its envelopes and nothing else."""
    content = RecordDict()
    _write(content, {}, envelopes)
    return content


def read_envelopes(content: RecordDict) -> list[bytes]:
    """Return the encoded envelopes in a message. Raises `ProtocolViolation` for records of another shape."""
    small, large = content.config_records.get(SMALL), content.array_records.get(LARGE)
    envelopes = [] if small is None else small.get("envelopes", [])
    if not isinstance(envelopes, list) or not all(isinstance(data, bytes) for data in envelopes):
        raise ProtocolViolation("the secagg record's envelopes are no list of bytes")
    blocks = [] if large is None else [_bytes_of(array) for array in large.values()]
    return [*envelopes, *blocks]


def guard_bits(scheme: Scheme) -> int:
    """Return the low bits of a coordinate in which a scheme's error disappears when a sum is rounded."""
    return int(scheme.precision).bit_length() + 1 if scheme.precision else 0


def strip(content: RecordDict) -> RecordDict:
    """Return the records that are not ours: some mods accept exactly one of a kind."""
    return RecordDict({name: record for name, record in content.items() if name not in (SMALL, LARGE)})


def sole(records: dict[str, object], kind: str) -> tuple[str, object]:
    """Return the only record of its kind, and its name. Raises `InputError`."""
    if len(records) != 1:
        raise InputError(f"expected exactly one {kind}, found {len(records)}: {sorted(records)}")
    return next(iter(records.items()))


def _write(content: RecordDict, small: dict[str, object], envelopes: Sequence[bytes]) -> None:
    if sum(map(len, envelopes)) < CHUNKED_FROM:
        content[SMALL] = ConfigRecord({**small, "envelopes": list(envelopes)})
        return
    content[SMALL] = ConfigRecord(small)
    blocks = {f"{number:06}": np.frombuffer(data, dtype=np.uint8) for number, data in enumerate(envelopes)}
    content[LARGE] = ArrayRecord({name: Array(block) for name, block in blocks.items()})


def _bytes_of(array: Array) -> bytes:
    block = numpy_of("envelope", array)
    if block.dtype != np.uint8 or block.ndim != 1:
        raise ProtocolViolation(f"an envelope is an array of {block.dtype} with {block.ndim} dimensions, not of bytes")
    return block.tobytes()


def numpy_of(name: str, array: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """Return a Flower array's values. Raises `InputError` when it holds anything but a numpy array."""
    try:
        values = array.numpy()
    except Exception as error:  # bytes of the other side's: numpy tries them as zip files, headers, giant shapes
        raise InputError(f"array {name!r} is no numpy array: {type(error).__name__}") from None
    if not isinstance(values, np.ndarray):
        raise InputError(f"array {name!r} is no numpy array")
    return values
