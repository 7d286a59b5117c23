"""What a participant accepts. It is read from `node_config` and from nothing else: the SuperLink ships code, run
configuration and messages, and only the node's own configuration is the participant's.

| key | meaning | default |
|---|---|---|
| secagg-schemes | schemes it takes part in, separated by commas | all of secagg's own but plain |
| secagg-minimum-cohort | fewest honest participants in any sum, itself included | 3 |
| secagg-adversary | the weakest server model it accepts: semi-honest or active | semi-honest |
| secagg-colluders | how many others it wants to be safe from | 0 |
| secagg-reruns | how often it answers again for one model, when a round failed late; each may give an update away | 0 |
| secagg-roster, secagg-identity | files: who may take part, and its own signing key | none; needed for active |
| secagg-store | folder in which its answers and sessions survive this run | none; needed for active |
| secagg-group-key | file: the key that participants of bfv and ckks share | $SECAGG_GROUP_KEY |
| secagg-early-keys | whether it makes secrets for the next round that lie in its state until then | true |
| secagg-maximum-bits, secagg-maximum-length | largest value_bits, and longest vector, it works on | 32, 2^28 |
| secagg-maximum-participants | most participants of a round that it works for | 10000 |
| secagg-maximum-dealt | most bytes of shares that it deals in a round | 2^28 |
| secagg-maximum-work | most work for a round: participants × (length + threshold × bytes of a share) | 2^36 |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from secagg.schemes import ONE_KEY, OWN_PROTECTING, SCHEMES
from secagg_he import GroupKey
from secagg_protocols import Adversary, Identity, ParameterError, Policy, Roster, Scheme, SnapshotStore

from .records import Proposal

PREFIX = "secagg-"
GROUP_KEY_VARIABLE = "SECAGG_GROUP_KEY"
"""As much the node's own as its configuration, of which Flower's simulation engine has none."""
STATISTICAL_BITS = 40
"""The least statistical security of a neighbour graph that a participant accepts."""

_PROTECTING = ",".join(sorted(OWN_PROTECTING))


@dataclass(frozen=True)
class Limits:
    """The most that one proposal may make a participant compute or hold. bits, dealt, work: see the table above.

    The proposal itself sets all of these numbers, and a hostile one sets them all at once.
    """

    bits: int = 32
    length: int = 1 << 28
    participants: int = 10_000
    dealt: int = 1 << 28
    work: int = 1 << 36

    @classmethod
    def read(cls, settings: _Settings) -> Limits:
        """Read the keys `secagg-maximum-…`."""
        return cls(**{name: settings.number(f"maximum-{name}", default) for name, default in asdict(cls()).items()})

    def check_shape(self, participants: int, length: int) -> None:
        """Raise `ParameterError` for numbers that are too large as they stand: deriving a scheme is work, too."""
        self._check("participants", participants)
        self._check("length", length)
        self._check("work", participants * length)

    def check_scheme(self, scheme: Scheme) -> None:
        """Raise `ParameterError` for a scheme that asks for too much."""
        self._check("bits", scheme.value_bits)
        self._check("dealt", scheme.participants * scheme.share_bytes)
        self._check("work", scheme.participants * (scheme.length + scheme.quorum * scheme.share_bytes))

    def _check(self, name: str, value: int) -> None:
        if value > getattr(self, name):
            raise ParameterError(
                f"the proposal's {name}={value} is above {PREFIX}maximum-{name}={getattr(self, name)}: if this node is "
                "to bear that, raise it in its node_config"
            )


@dataclass(frozen=True)
class NodePolicy:
    """A participant's side of every bargain. floor: what it asks of a scheme and of a sum. limits: of its own cost."""

    floor: Policy
    schemes: frozenset[str]
    limits: Limits
    early_keys: bool = True
    roster: Roster | None = None
    identity: Identity | None = None
    store: SnapshotStore | None = field(default=None, repr=False)
    group_key: GroupKey | None = field(default=None, repr=False)

    @classmethod
    def read(cls, node_config: Mapping[str, bool | float | int | str]) -> NodePolicy:
        """Read a node's configuration. Raises `ParameterError` for what it cannot mean, `InputError` for bad files."""
        settings = _Settings(node_config)
        limits = Limits.read(settings)
        policy = cls(
            floor=Policy(
                minimum_cohort=settings.number("minimum-cohort", 3),
                colluders=settings.number("colluders", 0),
                adversary=settings.text("adversary", Adversary.SEMI_HONEST.value),
                reruns=settings.number("reruns", 0),
                maximum_participants=limits.participants,
            ),
            schemes=frozenset(name.strip() for name in settings.text("schemes", _PROTECTING).split(",")),
            limits=limits,
            early_keys=settings.flag("early-keys", True),
            roster=Roster.load(path) if (path := settings.path("roster")) else None,
            identity=Identity.load(path) if (path := settings.path("identity")) else None,
            store=SnapshotStore(path) if (path := settings.path("store")) else None,
            group_key=GroupKey.load(path) if (path := settings.path("group-key", GROUP_KEY_VARIABLE)) else None,
        )
        settings.check_all_read()
        policy._check()
        return policy

    def _check(self) -> None:
        if strange := sorted(name for name in self.schemes if name not in SCHEMES):
            raise ParameterError(f"{PREFIX}schemes: {strange[0]!r} is unknown; choose from {', '.join(SCHEMES)}")
        if self.floor.adversary != Adversary.ACTIVE:
            return
        held = {"roster": self.roster, "identity": self.identity, "store": self.store}
        if missing := [name for name, value in held.items() if value is None]:
            raise ParameterError(
                f"{PREFIX}adversary=active needs {PREFIX}{missing[0]} in this node's node_config: the server must not "
                "be the one to say who takes part, nor able to ask again in another run"
            )
        assert self.roster is not None
        self._own_entry(self.roster)

    def accept(self, proposal: Proposal) -> Scheme:
        """Make the scheme that the server proposes. Raises `ParameterError` for one that this participant refuses."""
        if proposal.scheme not in self.schemes:
            raise ParameterError(
                f"the server proposes {proposal.scheme!r}; this node takes part in {', '.join(sorted(self.schemes))} "
                f"({PREFIX}schemes)"
            )
        self.limits.check_shape(proposal.participants, proposal.length)
        try:
            scheme = SCHEMES[proposal.scheme](proposal.participants, proposal.length, **proposal.parameters)  # type: ignore[arg-type]
        except TypeError as error:
            raise ParameterError(f"the proposal's parameters do not fit: {error}") from None
        self.limits.check_scheme(scheme)
        sigma = scheme.guarantee.statistical_bits
        if sigma is not None and sigma < STATISTICAL_BITS and scheme.name not in ONE_KEY:
            raise ParameterError(f"sigma={sigma} is below {STATISTICAL_BITS}, this node's least")
        scheme.check_policy(self.floor)
        return scheme

    def participant(self, scheme: Scheme, assigned: int) -> int:
        """Return this node's id: by its roster where the scheme has identities, and only else by the server."""
        if not scheme.active:
            return assigned
        if self.roster is None:
            raise ParameterError(f"the server proposes an active adversary; this node has no {PREFIX}roster")
        return self._own_entry(self.roster)

    def _own_entry(self, roster: Roster) -> int:
        roster.check_valid_at(datetime.now(UTC))
        if self.identity is None:
            raise ParameterError(f"the server proposes an active adversary; this node has no {PREFIX}identity")
        for entry in roster.entries:
            if entry.public_key == self.identity.public_key and entry.id in roster.participants:
                return entry.id
        raise ParameterError(f"the identity {self.identity.name!r} is no participant of this node's roster")


class _Settings:
    """The keys of a node's configuration that are ours; every one must be known."""

    def __init__(self, node_config: Mapping[str, bool | float | int | str]) -> None:
        self._given = {key.removeprefix(PREFIX): value for key, value in node_config.items() if key.startswith(PREFIX)}
        self._known: set[str] = set()

    def number(self, name: str, default: int) -> int:
        """Return an integer."""
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ParameterError(f"{PREFIX}{name}={value!r} in node_config is no integer")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return a truth value."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise ParameterError(f"{PREFIX}{name}={value!r} in node_config is neither true nor false")
        return value

    def text(self, name: str, default: str) -> str:
        """Return a text."""
        value = self._take(name, default)
        if not isinstance(value, str):
            raise ParameterError(f"{PREFIX}{name}={value!r} in node_config is no text")
        return value

    def path(self, name: str, variable: str = "") -> Path | None:
        """Return a path, or None. variable: of the node's own environment, where the configuration says nothing."""
        value = self.text(name, "") or os.environ.get(variable, "")
        return Path(value).expanduser() if value else None

    def _take(self, name: str, default: int | str) -> bool | float | int | str:
        self._known.add(name)
        return self._given.get(name, default)

    def check_all_read(self) -> None:
        """Raise `ParameterError` for a key that nothing reads: a typo must not lower a floor silently."""
        if strange := sorted(self._given.keys() - self._known):
            known = ", ".join(PREFIX + name for name in sorted(self._known))
            raise ParameterError(f"{PREFIX}{strange[0]} in node_config is unknown; the keys are {known}")
