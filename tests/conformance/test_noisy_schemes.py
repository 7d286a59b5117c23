"""Schemes with noise under the sum, in what of the suite noise could change: the sum, who is in it, and who answers.

The sum is compared bit for bit: the noise that must be in it is known (`secagg.conformance.noise`).
"""

from secagg.conformance.fixtures import *
from secagg.conformance.ours import NOISY
from secagg.conformance.suite import (
    dropouts,
    durable_client,
    durable_server,
    late_and_garbage,
    second_answers,
    snapshots,
    sums,
    two_views,
)

CASES = NOISY

CHOSEN = (
    dropouts.test_after_a_failure_nothing_comes_out_any_more,
    dropouts.test_every_combination_of_dropouts_at_every_step,
    dropouts.test_ready_says_whether_the_step_can_be_closed,
    dropouts.test_several_of_seven_vanish_together_at_each_step,
    durable_client.test_a_whole_answer_that_was_lost_on_its_way_comes_again_whole,
    durable_client.test_killed_after_its_claim_at_any_step_it_answers_with_the_same_bytes_or_not_at_all,
    durable_server.test_killed_after_every_call_the_server_goes_on,
    late_and_garbage.test_a_second_upload_is_refused,
    late_and_garbage.test_an_upload_after_the_step_was_closed_is_refused,
    late_and_garbage.test_garbage_never_comes_out_as_a_sum,
    second_answers.test_a_deliberate_rerun_is_the_participants_own_policy,
    second_answers.test_a_repeated_round_is_refused_by_everyone_who_answered,
    second_answers.test_a_round_that_failed_after_the_uploads_counts_as_answered,
    snapshots.test_a_participant_s_own_keys_are_forgotten_as_soon_as_its_vector_is_masked,
    snapshots.test_a_rerun_never_puts_two_vectors_under_the_same_masks,
    snapshots.test_a_round_of_participants_restored_before_every_call_is_the_same_byte_for_byte,
    snapshots.test_a_stale_snapshot_cannot_be_used_to_answer_twice,
    sums.test_a_masked_vector_shows_nothing_of_its_value,
    sums.test_same_seed_gives_the_same_bytes,
    sums.test_the_system_gives_other_bytes_and_the_same_sum,
    two_views.test_restored_twice_and_shown_two_rounds_a_participant_answers_in_one,
    two_views.test_shown_another_round_after_it_has_answered_a_participant_stays_as_it_is,
    two_views.test_two_halves_that_are_told_of_other_survivors_open_no_two_sums,
)

globals().update({test.__name__: test for test in CHOSEN})
