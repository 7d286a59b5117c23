"""Training takes any codec, as it takes its own."""

from dataclasses import replace

import numpy as np
import pytest

from secagg.codec import Layout, fit
from secagg.train import TrainConfig
from secagg.train.distributed import Encoding
from secagg.train.rounds import federate
from secagg.train.setup import make_setup
from secagg_protocols import ParameterError


def test_training_by_votes_is_within_the_codec_s_bound(signs) -> None:
    setup = make_setup(TrainConfig.of(rounds=3, report=None, epsilon=None))
    codec = signs.SignCodec(Layout.of(setup.initial), 0.01)
    with pytest.raises(ParameterError, match="length="):
        fit(setup.scheme, codec)
    scheme = replace(setup.scheme, length=codec.length, value_bits=codec.value_bits)
    outcome = federate(replace(setup, encoding=Encoding(codec), scheme=scheme), lambda number, line: None)
    assert len(outcome.records) == 3
    for record in outcome.records:
        assert record.failed is None
        assert record.codec_error <= record.codec_bound
        assert record.influence == 2 * 0.01 / len(record.survivors)
        assert record.auc == pytest.approx(record.plain_auc, abs=1e-6)
    assert np.abs(outcome.secure["0.weight"] - setup.initial["0.weight"]).max() > 0
