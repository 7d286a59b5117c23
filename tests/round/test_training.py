"""A training whose rounds fail: what is used up by that, when it stops, and what its end says."""

import pytest

from secagg.round import Training, TrainingFailed


def test_a_round_that_nobody_answered_uses_nothing_up():
    training = Training(reruns=0)
    for number in (1, 2):
        assert training.skip(number, "nobody came") == f"round {number} is skipped: nobody came"
    training.add()
    training.check()


@pytest.mark.parametrize("reruns", [0, 2])
def test_a_model_is_asked_about_again_as_often_as_it_is_said(reruns):
    training = Training(reruns=reruns)
    for number in range(1, reruns + 1):
        assert training.skip(number, "too few", {1, 2}).endswith("the next round asks about the same model again")
        assert training.stopped is None
    # From the first answer on the model is used, whether the next ones are answered or not.
    assert training.skip(reruns + 1, "too few", {1} if reruns == 0 else ()).endswith("training stops here")
    with pytest.raises(TrainingFailed, match=rf"0 of {reruns + 1} rounds gave a model: .*to fail: too few"):
        training.check()


def test_a_new_model_may_fail_as_often_again():
    training = Training(reruns=1)
    for number in (1, 3):
        training.skip(number, "too few", {1})
        training.add()
    training.check()


def test_rounds_are_counted_anew_for_another_run():
    training = Training()
    training.add()
    training.begin()
    training.check()
    training.skip(1, "nobody came")
    with pytest.raises(TrainingFailed, match="0 of 1 rounds gave a model: no model came out of any"):
        training.check()
