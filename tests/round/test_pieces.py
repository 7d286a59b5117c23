"""Settings, context, updates, the site's memory: each alone."""

from datetime import UTC, datetime

import numpy as np
import pytest

from secagg.codec import Layout, MeanCodec
from secagg.round import Settings, SiteStore, bound_digest, knobs_of, received_digest
from secagg.round.store import MAX_JOBS
from secagg.round.updates import (
    applied,
    as_arrays,
    change,
    layout_of,
    layout_of_model,
    metrics_of,
    scalars_of,
    vector_of,
    weight_of,
)
from secagg_protocols import Identity, InputError, ParameterError, Plain, Roster, RoundContext
from secagg_protocols.core.snapshots import Record

ARRAYS = {"weight": np.ones((2, 3), np.float32), "count": np.array([7])}
KNOBS = {"clip": 8.0, "weight_max": 100}


# --- settings


@pytest.mark.parametrize("missing", ["clip", "weight_max"])
def test_how_far_one_site_can_move_the_mean_has_no_default(missing):
    with pytest.raises(ParameterError, match=f"is not given {missing}, for which there is no safe default"):
        Settings.of({name: value for name, value in KNOBS.items() if name != missing})


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        ({"scheme": "nonsense"}, "choose from"),
        ({"treshold": 3}, "'treshold' is no knob"),
        ({"adversary": "active"}, "give both files"),
        ({"clip": float("nan")}, "clip must be"),
        ({"clip": -1.0}, "clip must be"),
        ({"value_bits": 33}, "value_bits must be"),
        ({"metrics": {"loss": (1.0, 0.0)}}, "needs finite low < high"),
    ],
)
def test_knobs_that_do_not_fit_are_refused_when_they_are_read(knobs, reason):
    with pytest.raises(ParameterError, match=reason):
        Settings.of({**KNOBS, **knobs})


def test_knobs_from_a_runtimes_configuration():
    given = {
        "secagg-clip": 4.0,
        "secagg-weight-max": 10,
        "secagg-metrics": "loss:0:10, a:b:0:1",
        "secagg-x": "",
        "lr": 1,
    }
    knobs = knobs_of(given)
    assert knobs == {"clip": 4.0, "weight_max": 10, "metrics": {"loss": (0.0, 10.0), "a:b": (0.0, 1.0)}}
    assert Settings.of(knobs).terms("n").weight_key == "n"
    with pytest.raises(ParameterError, match="is not name:low:high"):
        knobs_of({"secagg-metrics": "loss:0"})


@pytest.mark.parametrize("scheme", ["bfv", "ckks", "plain"])
def test_the_scheme_is_swapped_by_one_knob_whatever_was_said_of_early_keys(scheme):
    """A runtime says early-keys=false for every scheme; asking for them where there are none is refused."""
    knobs = {"scheme": scheme, "clip": 1.0, "weight_max": 1}
    Settings.of({**knobs, "early_keys": False})
    with pytest.raises(ParameterError, match="'early_keys' is no knob of SecAgg and no parameter of"):
        Settings.of({**knobs, "early_keys": True})


def test_a_roster_that_is_not_valid_now_opens_no_round():
    own = [Identity.generate(f"party {count}") for count in range(4)]
    limited = [one.public(count, not_after="2026-01-31T00:00:00+00:00") for count, one in enumerate(own)]
    roster = Roster.of("x25519", limited)
    settings = Settings.of({**KNOBS, "adversary": "active", "identity": own[0], "roster": roster})
    codec = MeanCodec(Layout.of({"x": np.zeros(3)}), clip=8.0, weight_max=100, value_bits=24)
    scheme = settings.make_scheme(settings.participants(3), codec)
    context = RoundContext("job", 1, bytes(32))
    settings.make_server(scheme, context, datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ParameterError, match="renew it"):
        settings.make_server(scheme, context, datetime(2026, 3, 1, tzinfo=UTC))


def test_files_are_given_by_path_or_text_and_what_is_none_is_named(tmp_path):
    own = [Identity.generate(f"party {count}") for count in range(4)]
    Roster.of("x25519", [one.public(count) for count, one in enumerate(own)]).save(tmp_path / "roster")
    own[0].save(tmp_path / "identity")
    for kind in (str, lambda path: path):
        files = {name: kind(tmp_path / name) for name in ("identity", "roster")}
        settings = Settings.of({**KNOBS, "adversary": "active", **files})
        assert settings.identity.public_key == own[0].public_key
        assert settings.participants(2) == 3
    with pytest.raises(InputError, match="does not exist"):
        Settings.of({**KNOBS, "adversary": "active", **files, "roster": "/nowhere/roster"})


def test_too_sparse_a_graph_names_the_remedy():
    settings = Settings.of({**KNOBS, "scheme": "secagg-plus"})
    codec = MeanCodec(Layout.of({"x": np.zeros(3)}), clip=8.0, weight_max=100, value_bits=24)
    with pytest.raises(ParameterError, match="take scheme='bonawitz'"):
        settings.make_scheme(4, codec)


# --- context


def test_everything_that_a_trainer_sees_is_in_the_digest():
    settings = {"rate": 0.1, "layers": ["a", "b"]}
    one = received_digest(ARRAYS, "train", settings)
    others = [
        received_digest({**ARRAYS, "weight": ARRAYS["weight"] * 2}, "train", settings),
        received_digest({**ARRAYS, "weight": ARRAYS["weight"].astype(np.float64)}, "train", settings),
        received_digest({**ARRAYS, "weight": ARRAYS["weight"].reshape(3, 2)}, "train", settings),
        received_digest({"w": ARRAYS["weight"], "count": ARRAYS["count"]}, "train", settings),
        received_digest(dict(reversed(ARRAYS.items())), "train", settings),
        received_digest(ARRAYS, "train.other", settings),
        received_digest(ARRAYS, "train", {**settings, "rate": 0.2}),
        received_digest(ARRAYS, "train", {**settings, "layers": ["b", "a"]}),
        received_digest(ARRAYS, "train", {"rate": 0.1}),
        received_digest(ARRAYS, "train", None),
    ]
    assert len({one, *others}) == 1 + len(others)
    assert one == received_digest(dict(ARRAYS), "train", dict(reversed(settings.items())))
    assert received_digest(ARRAYS, settings=[1]) != received_digest(ARRAYS, settings=[1.0])
    fortran = {"weight": np.asfortranarray(ARRAYS["weight"]), "count": ARRAYS["count"]}
    assert one == received_digest(fortran, "train", settings)


def test_what_cannot_be_digested_is_refused():
    for settings in ({"f": print}, {"n": 1 << 80}, "\ud800"):
        with pytest.raises(InputError, match="cannot be digested"):
            received_digest(ARRAYS, settings=settings)


def test_terms_and_what_is_bound_are_in_the_context():
    received = received_digest(ARRAYS)
    digests = {
        bound_digest(received),
        bound_digest(received, b"terms"),
        bound_digest(received, b"", ["terms"]),
        bound_digest(received, b"", ["ter", "ms"]),
        bound_digest(bytes(32)),
        received,
    }
    assert len(digests) == 6
    assert bound_digest(received, b"", ["b", "a"]) == bound_digest(received, b"", ["a", "b"])


# --- updates


@pytest.mark.parametrize(
    ("trained", "reason"),
    [
        ({"count": np.array([8])}, "'weight' is missing"),
        ({"weight": np.ones((3, 2), np.float32)}, r"has shape \(3, 2\)"),
        ({"weight": np.ones((2, 3), np.float32), "more": np.ones(1)}, "'more' is not in the model"),
        ({"weight": np.full((2, 3), "x")}, "'weight' is <U1"),
    ],
)
def test_an_update_to_another_model_is_refused(trained, reason):
    with pytest.raises(InputError, match=reason):
        change(ARRAYS, trained)


def test_names_that_differ_by_a_wrappers_prefix_are_said_to():
    sent = {"weight": ARRAYS["weight"], "bias": np.ones(2), "count": ARRAYS["count"]}
    wrapped = {f"module.{name}": values for name, values in sent.items()}
    with pytest.raises(InputError, match=r"their names have 'module\.' before them; take the state dict"):
        change(sent, wrapped)
    with pytest.raises(InputError, match=r"their names lack 'module\.'"):
        change(wrapped, sent)


def test_what_was_clipped_is_in_the_sites_own_log_by_array(caplog):
    sent = {f"layer{own}": np.ones(4, np.float32) for own in range(12)} | {"running_var": np.ones(8)}
    terms = Settings.of({**KNOBS, "clip": "running_var:1000, *:0.1", "metrics": {"loss": (0, 1)}}).terms("n")
    scheme = Plain(3, layout_of(sent).size + 2, value_bits=24)
    changes = {name: np.zeros_like(values) for name, values in sent.items()}
    vector_of(changes, {"n": 5, "loss": 0.5}, terms, scheme)
    assert not caplog.records
    changes["layer3"][:3] = 0.2
    changes["layer7"][0] = -0.2
    changes["running_var"][:] = 900
    vector_of(changes, {"n": 5, "loss": 7.0}, terms, scheme)
    assert caplog.messages == [
        "secagg: out of range and clipped: 3 of 4 values of layer3 (knob: clip), 1 of 4 values of layer7 (knob: clip), "
        "1 of the metrics (knob: metrics)"
    ]
    caplog.clear()
    vector_of({name: values + 0.2 for name, values in changes.items()}, {"n": 5, "loss": 0.5}, terms, scheme)
    assert caplog.messages[0].endswith("and 4 more")
    assert caplog.messages[0].count("layer") == 8


def test_no_floats_no_update():
    with pytest.raises(InputError):
        layout_of({"count": np.array([1])})
    with pytest.raises(InputError, match="send floats"):
        layout_of({"name": np.array(["x"])})


def codec_of(knobs):
    return Settings.of(knobs).terms("n").codec(layout_of(ARRAYS))


@pytest.mark.parametrize(
    ("reported", "reason"),
    [
        ({}, "is missing: it is this participant's weight"),
        ({"n": 1.5}, "no whole number"),
        ({"n": float("nan")}, "no finite number"),
        ({"n": True}, "no finite number"),
        ({"n": "5"}, "no finite number"),
    ],
)
def test_a_weight_that_is_none_is_refused(reported, reason):
    with pytest.raises(InputError, match=reason):
        weight_of(reported, codec_of(KNOBS), "n")


def test_weights_are_capped_and_only_agreed_metrics_leave(caplog):
    codec = codec_of({**KNOBS, "metrics": {"loss": (0.0, 1.0)}})
    assert weight_of({"n": 10**9}, codec, "n") == 100
    assert "1000000000" not in caplog.text
    assert metrics_of({"n": 5, "loss": 0.5, "patients": 3}, codec, "n") == {"loss": 0.5}
    assert weight_of({}, codec_of({**KNOBS, "weight_max": 0}), "n") is None


def test_a_difference_is_an_update_as_it_stands_and_is_checked_like_a_model():
    changes = {"weight": np.full((2, 3), 0.5, np.float64)}
    assert (change(ARRAYS, changes, relative=True)["weight"] == 0.5).all()
    assert change(ARRAYS, changes, relative=True)["weight"].dtype == ARRAYS["weight"].dtype
    with pytest.raises(InputError, match="'weight' is missing"):
        change(ARRAYS, {"count": np.array([8])}, relative=True)


def test_whatever_holds_numbers_is_taken_as_arrays():
    assert as_arrays({"a": [[1.0, 2.0]], "b": 3}).keys() == {"a", "b"}
    for given in ({"a": "text"}, {"a": object()}, {"a": [[1.0], [2.0, 3.0]]}):
        with pytest.raises(InputError):
            as_arrays(given)


def test_a_report_of_a_few_numbers_may_leave_and_nothing_larger():
    assert scalars_of({"loss": np.float32(0.5), "count": 3}) == {"loss": 0.5, "count": 3.0}
    for reported in ({"a": 1.0, "b": 2.0}, {"long": 1.0}, {"a": np.ones(3)}, {1: 1.0}, {"a": float("inf")}):
        with pytest.raises(InputError):
            scalars_of(reported, most=1)


def test_a_model_that_is_described_elsewhere_has_no_layout_yet():
    assert layout_of_model([[1.0, 2.0]]).size == 2
    assert layout_of_model({"class_path": "net.Net"}) is None


def test_a_plan_is_checked_without_the_files_that_it_names():
    active = {**KNOBS, "adversary": "active", "identity": "/elsewhere", "roster": "/elsewhere"}
    layout = Layout.of({"weight": ARRAYS["weight"]})
    Settings.check_plan(active, 4, layout)
    Settings.check_plan({**KNOBS, "threshold": 2}, 4, layout)
    with pytest.raises(ParameterError, match="threshold=2"):
        Settings.check_plan({**active, "threshold": 2}, 4, layout)
    Settings.check_plan({**active, "threshold": 2}, 4, None)
    with pytest.raises(ParameterError, match="needs the server's identity and the roster"):
        Settings.check_plan({**KNOBS, "adversary": "active", "identity": "/elsewhere"}, 3, None)
    with pytest.raises(ParameterError, match="audit needs identity"):
        Settings.check_plan({**KNOBS, "audit": "log"}, 3, None)
    with pytest.raises(ParameterError, match="knobs travel as JSON"):
        Settings.check_plan({**KNOBS, "identity": object()}, 3, None)


def test_a_mean_leaves_the_model_that_was_sent_as_it_is():
    before = {name: values.copy() for name, values in ARRAYS.items()}
    codec = MeanCodec(Layout.of({"weight": ARRAYS["weight"]}), clip=8.0, value_bits=24)
    encoded = codec.encode({"weight": np.full((2, 3), 0.5, np.float32)})
    after = applied(ARRAYS, codec.decode(encoded.vector.astype(np.uint64), 1))
    assert np.allclose(after["weight"], 1.5, atol=1e-5)
    assert all((ARRAYS[name] == before[name]).all() for name in before)


# --- the site's memory


def save(store, session):
    store.save(session, Record(1, b"secret", b"", ()))


def sessions(store):
    return {name for name in ("a", "b", "c", "d") if store.load(name) is not None}


def test_a_passed_session_is_forgotten_and_other_jobs_are_left_alone(tmp_path):
    store = SiteStore(tmp_path)
    for session in "abcd":
        save(store, session)
    store.turn_to("one", "a")
    store.turn_to("other", "d")
    store.keep_ahead("one", "b")
    store.turn_to("one", "a")
    assert sessions(store) == set("abcd")
    SiteStore(tmp_path).turn_to("one", "b")
    assert sessions(store) == set("bcd")
    store.keep_ahead("one", "c")
    store.turn_to("one", "a")
    assert sessions(store) == {"d"}


def test_jobs_without_end_leave_no_sessions_without_end(tmp_path):
    store = SiteStore(tmp_path)
    for count in range(MAX_JOBS + 10):
        save(store, f"session-{count}")
        store.turn_to(f"job-{count}", f"session-{count}")
    left = [count for count in range(MAX_JOBS + 10) if store.load(f"session-{count}") is not None]
    assert left == list(range(10, MAX_JOBS + 10))


def test_a_damaged_memory_is_named(tmp_path):
    store = SiteStore(tmp_path)
    (tmp_path / "jobs").write_bytes(b"\xff")
    with pytest.raises(InputError, match="damaged"):
        store.turn_to("job", "a")
