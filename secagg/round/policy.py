"""What a participant accepts. It is read from the site's own configuration and from nothing else: what the aggregator
sends can only be refused by it.

| key | meaning | default |
|---|---|---|
| schemes | schemes it takes part in, separated by commas | all of secagg's own but plain |
| codecs | codecs it makes vectors by, separated by commas; `mean` refuses to calibrate clips | all that it knows |
| minimum-cohort | fewest honest participants in any sum, itself included | 3 |
| adversary | the weakest server model it accepts: semi-honest or active | semi-honest |
| colluders | how many others it wants to be safe from | 0 |
| reruns | how often it answers again for one model, when a round failed late; each may give an update away | 0 |
| roster, identity | files: who may take part, and its own signing key | none; needed for active |
| store | folder in which its answers and sessions survive | none; needed for active |
| audit | file: this site's own log of every round, signed with its identity | none |
| dp-minimum-multiplier | the least noise that it joins a sum with, over the clip (`privacy.SitePrivacy`) | none |
| dp-ledger, dp-epsilon, dp-delta | its own privacy budget, and the signed file of what is spent of it | none |
| group-key | file: the key that participants of bfv and ckks share | $SECAGG_GROUP_KEY |
| early-keys | whether it makes secrets for the next round that lie in its store until then | true |
| maximum-… (bits, length, participants, dealt, work) | the most that one proposal may cost it | `limits.Limits` |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from secagg.codec import terms_called
from secagg.schemes import ONE_KEY, OWN_PROTECTING, SCHEMES
from secagg_he import GroupKey
from secagg_protocols import (
    Adversary,
    Identity,
    InputError,
    ParameterError,
    Policy,
    ProtocolViolation,
    Roster,
    Scheme,
    SecAggError,
)

from .audit import SiteTrail
from .keys import PREFIX, WHERE, Keys, Value, its_own
from .limits import Limits
from .privacy import SitePrivacy
from .store import SiteStore
from .terms import CodecTerms, Proposal

GROUP_KEY_VARIABLE = "SECAGG_GROUP_KEY"
"""As much the site's own as its configuration, of which some runtimes (Flower's simulation engine) have none."""
GROUP_KEY = "group.key"
"""Its file beside a policy that is a file."""
STATISTICAL_BITS = 40
"""The least statistical security that a participant accepts of a proposal. (A group key's was agreed when the key was
made, and is in it.)"""

_DEFAULT = ",".join(sorted(OWN_PROTECTING))


@dataclass(frozen=True)
class SitePolicy:
    """A participant's side of every bargain. floor: what it asks of a scheme and of a sum. limits: of its own cost.
    codecs: by kind; None for all that are registered. privacy: what it asks of noise; None: nothing. prefix: how its
    keys are written, for errors.
    """

    floor: Policy = Policy()  # noqa: RUF009  (frozen)
    schemes: frozenset[str] = OWN_PROTECTING
    codecs: frozenset[str] | None = None
    limits: Limits = Limits()  # noqa: RUF009  (frozen)
    early_keys: bool = True
    roster: Roster | None = None
    identity: Identity | None = None
    store: SiteStore | None = field(default=None, repr=False)
    group_key: object | None = field(default=None, repr=False)
    audit: SiteTrail | None = None
    privacy: SitePrivacy | None = None
    prefix: str = PREFIX

    @classmethod
    def read(
        cls, given: Mapping[str, Value], prefix: str = PREFIX, where: str = WHERE, folder: Path = Path()
    ) -> SitePolicy:
        """Read a configuration. folder: what its paths are relative to.

        Raises `ParameterError` for what it cannot mean, `InputError` for bad files.
        """
        keys = Keys(given, prefix, where, folder)
        limits = Limits.read(keys)
        policy = cls(
            floor=Policy(
                minimum_cohort=keys.number("minimum-cohort", 3),
                colluders=keys.number("colluders", 0),
                adversary=keys.text("adversary", Adversary.SEMI_HONEST.value),
                reruns=keys.number("reruns", 0),
                maximum_participants=limits.participants,
            ),
            schemes=_names(keys.text("schemes", _DEFAULT)),
            codecs=_names(codecs) if (codecs := keys.text("codecs", "")) else None,
            limits=limits,
            early_keys=keys.flag("early-keys", True),
            roster=Roster.load(path) if (path := keys.path("roster")) else None,
            identity=Identity.load(path) if (path := keys.path("identity")) else None,
            store=SiteStore(path) if (path := keys.path("store")) else None,
            group_key=GroupKey.load(path) if (path := keys.path("group-key", GROUP_KEY_VARIABLE)) else None,
            prefix=prefix,
        )
        policy = replace(policy, privacy=SitePrivacy.read(keys, policy.identity, policy.floor.colluders))
        log = keys.path("audit")
        keys.check_all_read()
        policy._check_whole(where)
        if log is None:
            return policy
        if policy.identity is None:
            raise ParameterError(
                f"{prefix}audit needs {prefix}identity in {where}: a log is signed by whoever writes it; make one with "
                "secagg identity new"
            )
        return replace(policy, audit=SiteTrail(log, policy.identity))

    @classmethod
    def load(cls, path: Path) -> SitePolicy:
        """Read a JSON file, of the keys as they stand above; where there is none, the defaults hold. Its paths are
        relative to its folder, where a file `group.key` counts as one named so. Raises what `read` raises."""
        try:
            given = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError as error:
            raise ParameterError(f"{path} is no JSON: {error}") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        if not (isinstance(given, dict) and all(isinstance(value, Value) for value in given.values())):
            raise ParameterError(f"{path} is no object of keys with plain values")
        key = {"group-key": GROUP_KEY} if (path.parent / GROUP_KEY).exists() else {}
        return cls.read({**key, **given}, prefix="", where=str(path), folder=path.parent)

    def _check_whole(self, where: str) -> None:
        if self.floor.adversary != Adversary.ACTIVE:
            return
        held = {"roster": self.roster, "identity": self.identity, "store": self.store}
        if missing := [name for name, value in held.items() if value is None]:
            raise ParameterError(
                f"{self.prefix}adversary=active needs {self.prefix}{missing[0]} in {its_own(where)}: the server must "
                "not be the one to say who takes part, nor able to ask again in another run"
            )

    def __post_init__(self) -> None:
        if strange := sorted(name for name in self.schemes if name not in SCHEMES):
            raise ParameterError(f"{self.prefix}schemes: {strange[0]!r} is unknown; choose from {', '.join(SCHEMES)}")
        for kind in sorted(self.codecs or ()):
            terms_called(kind)

    def check_trusts_server(self) -> None:
        """Raise `ProtocolViolation` where this policy takes the aggregator for one that may cheat: for whatever tells
        in the clear how this site's data fit a model. From the losses of many models follows a gradient."""
        if self.floor.adversary == Adversary.ACTIVE:
            raise ProtocolViolation(
                f"this site tells no numbers about a model of the server's choice: its policy ({self.prefix}adversary"
                "=active) takes the server for one that may cheat, and many such numbers show it a gradient"
            )

    def codec_terms(self, data: bytes) -> CodecTerms:
        """Read the codec that the aggregator proposes (`Site.terms`). Raises `WireError`, `ParameterError`."""
        terms = CodecTerms.from_bytes(data)
        if self.codecs is not None and terms.kind not in self.codecs:
            allowed = ", ".join(sorted(self.codecs))
            raise ParameterError(
                f"the server proposes codec {terms.kind!r}; this node makes vectors by {allowed} ({self.prefix}codecs)"
            )
        return terms

    def accept(self, proposal: Proposal) -> Scheme:
        """Make the scheme that the aggregator proposes. Raises `ParameterError` for one that this site refuses: by the
        proposal's numbers, before anything is derived from them, or by what the scheme then turns out to be."""
        self._check_numbers(proposal)
        try:
            scheme = SCHEMES[proposal.scheme](proposal.participants, proposal.length, **proposal.parameters)  # type: ignore[arg-type]
        except SecAggError:
            raise
        except (TypeError, ValueError, ArithmeticError) as error:  # what a constructor makes of somebody else's values
            raise ParameterError(f"the proposal's parameters do not fit: {error}") from None
        self.limits.check_scheme(scheme)
        sigma = scheme.guarantee.statistical_bits
        if sigma is not None and sigma < STATISTICAL_BITS and scheme.name not in ONE_KEY:
            raise ParameterError(f"sigma={sigma} is below {STATISTICAL_BITS}, this site's least")
        try:
            scheme.check_policy(self.floor)
        except ParameterError as refused:
            asked = ("adversary", "colluders", "minimum-cohort")
            raise ParameterError(f"{refused} (this site's {', '.join(self.prefix + key for key in asked)})") from None
        if self.privacy is not None:
            self.privacy.check(proposal, scheme)
        return scheme

    def _check_numbers(self, proposal: Proposal) -> None:
        if proposal.scheme not in self.schemes:
            raise ParameterError(
                f"the server proposes {proposal.scheme!r}; this node takes part in {', '.join(sorted(self.schemes))} "
                f"({self.prefix}schemes)"
            )
        self.limits.check_shape(proposal.participants, proposal.length)
        least = self.floor.minimum_cohort
        if 1 < proposal.participants < least:  # of one alone the scheme itself says why there is no sum
            raise ParameterError(
                f"this participant's policy asks for {least} participants in a sum; the scheme has "
                f"{proposal.participants} ({self.prefix}minimum-cohort)"
            )

    def own_entry(self) -> int | None:
        """Return this site's id in its roster; None where it has none."""
        if self.roster is None or self.identity is None:
            return None
        entries = (entry for entry in self.roster.entries if entry.public_key == self.identity.public_key)
        return next((entry.id for entry in entries if entry.id in self.roster.participants), None)

    def participant(self, scheme: Scheme, assigned: int) -> int:
        """Return this site's id: by its roster where the scheme has identities, and only else by the aggregator."""
        if not scheme.active:
            return assigned
        if self.roster is None or self.identity is None:
            missing = "roster" if self.roster is None else "identity"
            raise ParameterError(f"the server proposes an active adversary; this node has no {self.prefix}{missing}")
        if (own := self.own_entry()) is None:
            raise ParameterError(f"the identity {self.identity.name!r} is no participant of this node's roster")
        return own


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(","))
