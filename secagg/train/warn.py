"""What a reader must know before trusting a figure: one sentence each."""

from __future__ import annotations

from secagg.schemes import ONE_KEY, PROTECTING

from .rounds import Outcome
from .setup import Setup

WEAK_EPSILON = 10.0


def warnings_of(setup: Setup, outcome: Outcome) -> tuple[str, ...]:
    """Return every warning that this run earned, the gravest first."""
    return (*_guarantees(setup, outcome), *setup.warnings, *_events(setup, outcome))


def _guarantees(setup: Setup, outcome: Outcome) -> list[str]:
    config = setup.config
    scheme = config.aggregation.scheme
    spent = outcome.ledger.epsilon()
    found = []
    if config.run.insecure_deterministic:
        found.append(
            "INSECURE-DETERMINISTIC: keys, masks and noise were computed from the seed. Whoever knows the seed can "
            "remove all of them: neither the secure sum nor ε protects anything in this run."
        )
    if scheme not in PROTECTING:
        found.append(f"The scheme is {scheme}: the server sees every single update. Nothing hides them.")
    if scheme in ONE_KEY:
        found.append(
            f"Under {scheme} all sites hold one key: any one of them and the server together open every update."
        )
    if spent is None:
        found.append("No differential privacy: the released model itself may give away training rows.")
    elif spent > WEAK_EPSILON:
        found.append(f"ε = {spent:.1f} is above {WEAK_EPSILON:g}: such a guarantee means little.")
    return found


def _events(setup: Setup, outcome: Outcome) -> list[str]:
    found = []
    failed = [record.round for record in outcome.records if record.failed is not None]
    if failed:
        shown = ", ".join(map(str, failed))
        found.append(
            f"{len(failed)} round(s) failed ({shown}): too few sites were left. The model stayed as it was"
            + (", and they are charged to ε" if setup.mechanism else "")
            + ". Fewer dropouts, a later deadline or more sites would help."
        )
    if outcome.stopped is not None:
        done = len(outcome.records)
        planned = len(setup.plans)
        found.append(f"Training stopped after {done} of {planned} rounds: {outcome.stopped}.")
    clipped = sum(record.clipped for record in outcome.records)
    if clipped:
        found.append(
            f"{clipped} update coordinate(s) were clipped to ±{setup.update_clip:.3g}; "
            "set a larger --update-clip if that is many."
        )
    cap = setup.codec.weight_max
    capped = sum(cap is not None and len(silo.train) > cap for silo in setup.silos)
    if capped:
        found.append(f"{capped} site(s) hold more training rows than weight_max = {cap}; they count as {cap}.")
    return found
