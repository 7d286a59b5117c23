"""An aggregator that is killed and made again from its folder, at every point of a round: the same sum."""

import shutil

import pytest

from secagg_protocols import InputError, LocalError


def test_killed_after_any_answer_and_after_any_step_a_round_ends_with_the_same_sum(
    federation, variant, sample, tmp_path
):
    """Who is who is found again, too: with a roster the peers stand in another order than the participants."""
    parties = federation(variant)
    names = list(reversed(parties.names)) if parties.scheme.active else None
    proposal, folder = parties.proposal(), tmp_path / "kept"
    count, done = 0, False
    while not done:
        with parties.kept(folder, proposal, names) as rnd:
            requests = rnd.begin()
            if requests:
                name = next(iter(requests))
                rnd.take(name, parties.answer(name, requests[name], sample(0)))
                assert name not in rnd.waiting_for
            else:
                rnd.advance()
                done = rnd.output is not None
        count += 1
    assert count == 6 * len(parties.scheme.steps)
    parties.check(rnd, [1, 2, 3, 4, 5])
    assert rnd.refused == ()
    assert rnd.outcome.answered == dict.fromkeys(parties.scheme.steps, (1, 2, 3, 4, 5))
    with parties.kept(folder, proposal, names) as rnd:
        assert dict(rnd.begin()) == {}
        parties.check(rnd, [1, 2, 3, 4, 5])


@pytest.mark.parametrize("kept", ["threshold-ckks active", "lightsecagg", "bfv"])
def test_other_schemes_are_kept_as_well(federation, sample, tmp_path, kept):
    parties = federation(kept)
    proposal = parties.proposal()
    with parties.kept(tmp_path / "kept", proposal) as rnd:
        requests = rnd.begin()
        for name in requests:
            rnd.take(name, parties.answer(name, requests[name], sample(0)))
        rnd.advance()
    with parties.kept(tmp_path / "kept", proposal) as rnd:
        parties.run(rnd)
    parties.check(rnd, [1, 2, 3, 4, 5])


def test_what_was_asked_before_a_crash_is_asked_again_byte_for_byte(federation, variant, sample, tmp_path):
    parties = federation(variant)
    proposal = parties.proposal()
    with parties.kept(tmp_path / "kept", proposal) as rnd:
        first = dict(rnd.begin())
        for name in first:
            rnd.take(name, parties.answer(name, first[name], sample(0)))
        second = dict(rnd.advance())
    with parties.kept(tmp_path / "kept", proposal) as rnd:
        assert dict(rnd.begin()) == second
        assert rnd.participants == {name: own for own, name in enumerate(parties.names, 1)}


def test_a_round_that_failed_stays_failed(federation, variant, sample, tmp_path):
    parties = federation(variant)
    proposal = parties.proposal()
    with parties.kept(tmp_path / "kept", proposal) as rnd:
        parties.run(rnd, way=lambda name, request, rnd: None)
        failure = str(rnd.outcome.failure)
    with parties.kept(tmp_path / "kept", proposal) as rnd:
        parties.run(rnd)
        assert str(rnd.outcome.failure) == failure
        assert parties.asked == [0]


def test_one_process_at_a_time(federation, tmp_path):
    parties = federation("bonawitz")
    with (
        parties.kept(tmp_path / "kept", parties.proposal()),
        pytest.raises(LocalError, match="in use"),
        parties.kept(tmp_path / "kept", parties.proposal()),
    ):
        pass


@pytest.mark.parametrize("names", [["site-1"], ["site-1", "site-2", "site-3", "site-4", "mallory"]])
def test_a_folder_of_a_round_with_other_peers_is_refused(federation, tmp_path, names):
    """Numbers would be given to others than before: an answer would count for another site."""
    parties = federation("bonawitz")
    with parties.kept(tmp_path / "kept", parties.proposal()) as rnd:
        rnd.begin()
    with (
        pytest.raises(InputError, match="with other peers"),
        parties.kept(tmp_path / "kept", parties.proposal(), names),
    ):
        pass


def test_in_another_order_each_peer_keeps_its_number(federation, sample, tmp_path):
    parties = federation("bonawitz")
    with parties.kept(tmp_path / "kept", parties.proposal()) as rnd:
        requests = rnd.begin()
        rnd.take("site-2", parties.answer("site-2", requests["site-2"], sample(0)))
    with parties.kept(tmp_path / "kept", parties.proposal(), list(reversed(parties.names))) as rnd:
        parties.run(rnd)
    parties.check(rnd, [1, 2, 3, 4, 5])


def test_a_folder_of_another_round_is_refused(federation, sample, tmp_path):
    parties = federation("bonawitz")
    with parties.kept(tmp_path / "kept", parties.proposal()) as rnd:
        rnd.begin()
    for other in (parties.proposal(2), parties.proposal(1, sample(1))):
        with pytest.raises(InputError, match="another round"), parties.kept(tmp_path / "kept", other):
            pass


def test_a_damaged_list_of_peers_is_named(federation, sample, tmp_path):
    parties = federation("bonawitz active")
    with parties.kept(tmp_path / "kept", parties.proposal()) as rnd:
        requests = rnd.begin()
        for name in requests:
            rnd.take(name, parties.answer(name, requests[name], sample(0)))
    file = tmp_path / "kept" / "peers"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match="damaged"), parties.kept(tmp_path / "kept", parties.proposal()):
        pass


def test_killed_between_an_answer_and_who_gave_it_that_site_is_a_dropout(federation, sample, tmp_path):
    """With a roster only: the machine has site-1's keys, and nobody knows any more that they were site-1's."""
    parties = federation("bonawitz active")
    folder, proposal = tmp_path / "kept", parties.proposal()
    with parties.kept(folder, proposal) as rnd:
        requests = rnd.begin()
        for name in parties.names[1:]:
            rnd.take(name, parties.answer(name, requests[name], sample(0)))
        shutil.copy(folder / "peers", tmp_path / "peers")
        rnd.take("site-1", parties.answer("site-1", requests["site-1"], sample(0)))
    shutil.copy(tmp_path / "peers", folder / "peers")
    with parties.kept(folder, proposal) as rnd:
        parties.run(rnd)
        parties.check(rnd, [2, 3, 4, 5])
