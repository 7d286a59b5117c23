"""A suite that cannot fail is worth nothing: where a check is left out, the test that is about it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from secagg import Bonawitz, SecAggError, Step
from secagg.conformance import Case
from secagg.conformance.attack import Attack
from secagg.conformance.bonawitz import hostile_server, liars
from secagg.conformance.driver import Rehearsal
from secagg.conformance.suite import contents, small_cohorts, two_views
from secagg.conformance.weak_servers import POSSIBLE_SUM, RIGHT_SHARES, SIGNED_SURVIVORS
from secagg.conformance.weakened import Weakness, weakened
from secagg.conformance.weaknesses import (
    BOTH_LISTS,
    COHORT_FLOOR,
    KEY_FORM,
    MODEL_CONTEXT,
    ONE_ANSWER,
    SHARE_ROOTS,
    SIGNED_KEYS,
    SURVIVORS_SIGNED,
)

EVERYONE = (1, 2, 3, 4, 5)
FOUND: list[tuple[Weakness, Callable[..., None], dict[str, Any]]] = [
    (
        COHORT_FLOOR,
        small_cohorts.test_no_sum_of_fewer_than_a_participants_floor_comes_out,
        {"step": Step.MASKED_INPUT},
    ),
    (MODEL_CONTEXT, contents.test_a_participant_that_was_sent_another_model_is_left_out, {}),
    (ONE_ANSWER, two_views.test_shown_another_round_after_it_has_answered_a_participant_stays_as_it_is, {}),
    (SIGNED_KEYS, hostile_server.test_server_swaps_a_participant_s_keys_for_its_own, {}),
    (SURVIVORS_SIGNED, hostile_server.test_server_shows_two_groups_two_survivor_lists_and_neither_opens, {}),
    (
        BOTH_LISTS,
        hostile_server.test_server_asks_for_shares_that_do_not_split_the_dealers,
        {"survivors": EVERYONE, "vanished": (5,)},
    ),
    (KEY_FORM, liars.test_garbage_instead_of_keys_drops_its_sender, {}),
    (SHARE_ROOTS, liars.test_a_share_that_is_not_the_one_its_dealer_signed_counts_as_missing, {}),
    (SIGNED_SURVIVORS, liars.test_a_signature_over_another_survivor_list_drops_its_signer, {}),
    (RIGHT_SHARES, liars.test_one_holder_of_five_opens_wrong_shares_and_the_sum_is_still_right, {"vanishes": None}),
    (POSSIBLE_SUM, liars.test_garbage_in_a_masked_input_gives_no_sum_rather_than_a_wrong_one, {}),
]


def run(test: Callable[..., None], kind: type[Bonawitz], more: dict[str, Any]) -> None:
    """Run a test of the suite over one kind of schemes."""
    scheme = kind(5, 20, adversary="active")
    given = {
        "launch": lambda *arguments, **options: Attack(*arguments, **options).run(),
        "make_round": Rehearsal,
        "case": Case("this one", kind),
        **dict.fromkeys(("scheme", "masking", "active"), scheme),
        **more,
    }
    code = test.__code__
    test(*(given[argument] for argument in code.co_varnames[: code.co_argcount]))


@pytest.mark.parametrize(("weakness", "test", "more"), FOUND, ids=[weakness.check for weakness, _, _ in FOUND])
def test_the_suite_finds_a_check_that_is_left_out(
    weakness: Weakness, test: Callable[..., None], more: dict[str, Any]
) -> None:
    run(test, Bonawitz, more)
    with pytest.raises((AssertionError, pytest.fail.Exception, SecAggError)):
        run(test, weakened(Bonawitz, weakness), more)
