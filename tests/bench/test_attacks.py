"""`secagg bench attacks`: an attack succeeds where the defence is broken, and what is claimed to stop it does."""

import json
import os
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import typer

import secagg
from secagg.codec import Layout
from secagg.extras import MissingExtra
from secagg.schemes import PROTECTING, make_scheme
from secagg_bench.attacks import registry
from secagg_bench.attacks.attack import Effort, Finding, Records
from secagg_bench.attacks.command import run_attacks
from secagg_bench.attacks.defence import DEFENCES, Defence
from secagg_bench.attacks.matrix import matrix_of, tasks_of
from secagg_bench.attacks.pieces import Piece
from secagg_bench.attacks.records.imprint import BINS, ROWS, Imprint
from secagg_bench.attacks.released import codec_for, decoded, released
from secagg_bench.attacks.workers import finish
from secagg_bench.journal import Journal
from secagg_protocols import InsecureDeterministicRandomness, ParameterError, WorkerLost

from . import attack_examples

ROOT = Path(__file__).parents[2]
NAMED = {defence.name: defence for defence in DEFENCES}
EFFORT = Effort((0,), quick=True)
ONE_PROCESS = ("--quick", "--workers", "1")

app = typer.Typer()
app.command()(run_attacks)


def still(done: int, total: int, text: str) -> None:
    """Move no bar."""


def small(folder, attacks, defences, effort=EFFORT):
    journal = Journal(folder / "attacks.jsonl", Piece, resume=True)
    skipped = finish(tasks_of(attacks, defences, effort, journal), journal, still, workers=1)
    return matrix_of(attacks, defences, effort, journal, skipped)


KINDS = {
    "plain": lambda defence: not defence.active and defence.noise is None,
    "active": lambda defence: defence.active and defence.noise is None,
    "noisy": lambda defence: defence.noise is not None,
}


def found(attack, defence, seed=0):
    """Run the attack, or skip by the name of what is not installed."""
    try:
        return attack.run(defence, seed, EFFORT)
    except MissingExtra as missing:
        pytest.skip(str(missing))


def claimed(attack):
    """Return the first defence of each kind that is claimed to stop the attack. The command tries all of them."""
    able = [one for one in DEFENCES if attack.held_by(one) and not attack.no_view(one)]
    firsts = [next(filter(kind, able), None) for kind in KINDS.values()]
    return list({attack.view(one): one for one in firsts if one is not None}.values())


@pytest.mark.parametrize("name", sorted(registry.attacks()))
def test_an_attack_succeeds_where_the_defence_is_broken_and_not_where_one_is_claimed_to_stop_it(name):
    attack = registry.attacks()[name]
    broken = found(attack, attack.weak())
    assert broken.value >= attack.metric.success > broken.baseline
    for defence in claimed(attack):
        held = found(attack, defence)
        assert held.value < attack.metric.success, defence.name
        assert held.value <= held.baseline + attack.metric.leeway, defence.name


def test_with_the_model_bound_sites_refuse_before_any_vector_is_sent_even_if_the_server_does_not():
    for name in ("bonawitz", "bonawitz-active", "lightsecagg", "threshold-ckks-active"):
        note = found(registry.attacks()["suppression"], NAMED[name]).note
        assert note == "6 of 6 sites refused, and 0 sent a masked vector", name


def test_under_a_key_of_the_group_a_server_makes_ciphertexts_of_two_models_one_sum():
    suppression = registry.attacks()["suppression"]
    assert found(suppression, NAMED["bfv"]).value > 0.99
    assert not suppression.held_by(NAMED["bfv"])


def test_rows_come_back_from_the_sum_as_often_as_they_are_alone_in_their_bin():
    imprint = Imprint()
    for sites, seeds in ((4, 24), (16, 8), (64, 3)):
        defence = Defence("", "", "bonawitz", sites=sites)
        share = np.mean([imprint.run(defence, seed, EFFORT).value for seed in range(seeds)])
        assert abs(share - (1 - 1 / BINS) ** (sites * ROWS - 1)) < 0.05


@pytest.mark.parametrize("name", sorted(PROTECTING))
def test_every_scheme_releases_the_sum_that_is_attacked(name):
    rng = np.random.default_rng(0)
    updates = [rng.normal(size=30) for _ in range(5)]
    defence = Defence("", "", "bonawitz", sites=5)
    codec = codec_for(defence, updates)
    randomness = InsecureDeterministicRandomness(3)
    vectors = [codec.encode([update], randomness=randomness).vector for update in updates]
    scheme = make_scheme(name, 5, codec.length, value_bits=codec.value_bits)
    (mean,) = codec.decode(secagg.simulate(scheme, vectors).total, 5).arrays
    np.testing.assert_array_equal(mean * 5, decoded(defence, updates, 3))
    assert codec.layout == Layout.of([updates[0]])


def test_noise_of_each_site_s_own_adds_up_and_noise_under_the_sum_does_not():
    rows = [np.zeros((1, 4000)) for _ in range(16)]
    local, shared = (float(np.std(released(NAMED[name], rows, 0)[0])) for name in ("row-dp-local", "row-dp"))
    assert local == pytest.approx(4, rel=0.1)
    assert shared == pytest.approx(1, rel=0.1)


# --- the matrix


class Counting(attack_examples.LargestSite):
    """Counts its runs, and finds what it is told."""

    def __init__(self, value):
        self.value, self.runs = value, 0

    def run(self, defence, seed, effort):
        self.runs += 1
        return Finding(self.value(defence), 0.0)


def test_one_view_is_run_once_and_never_again_after_an_interruption(tmp_path):
    attack = Counting(lambda defence: float(defence.scheme is None))
    defences = [NAMED["bonawitz"], NAMED["lightsecagg"], NAMED["none"]]
    matrix = small(tmp_path, [attack], defences, Effort((0, 1, 2)))
    assert attack.runs == 6
    assert [cell.value for cell in matrix.cells] == [0, 0, 1, 1]
    small(tmp_path, [attack], defences, Effort((0, 1, 2)))
    assert attack.runs == 6


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda defence: 1.0, "is claimed to stop"),
        (lambda defence: 1.0 if defence.broken else 0.8, "is claimed to stop"),
        (lambda defence: 0.0, "fails where it must succeed"),
    ],
)
def test_a_claim_that_does_not_hold_and_a_dead_attack_are_wrong(tmp_path, value, said):
    matrix = small(tmp_path, [Counting(value)], [attack_examples.FEW])
    (cell,) = matrix.wrong
    assert said in cell.wrong


def test_an_attack_that_cannot_work_on_a_user_s_rows_says_so_and_is_no_error(tmp_path):
    rows = Records("any rows", np.zeros((1, 1)), np.zeros(1, dtype=np.int64))
    matrix = small(tmp_path, [Counting(lambda defence: 0.0)], [NAMED["none"]], Effort((0,), records=rows))
    (weak,) = (cell for cell in matrix.cells if cell.weak)
    assert "does not work on such rows" in weak.words
    assert not matrix.wrong


def test_a_table_that_is_too_small_is_said_in_its_cell(tmp_path):
    rng = np.random.default_rng(0)
    rows = Records("few rows", rng.uniform(-1, 1, (100, 4)), rng.integers(0, 2, 100))
    matrix = small(tmp_path, [Imprint()], [NAMED["bonawitz"]], Effort((0,), records=rows))
    assert "table is too small: 16 sites of 8 rows" in matrix.cells[0].reason
    assert not matrix.wrong
    assert not matrix.axes


def test_an_interval_is_student_s_and_stays_within_the_metric(tmp_path):
    values = iter([0.0, 1.0, 1.0])
    matrix = small(tmp_path, [Counting(lambda _: next(values))], [NAMED["none"]], Effort((0, 1, 2)))
    low, high = matrix.cells[0].interval
    assert (low, high) == (0, 1)
    assert matrix.cells[0].value == pytest.approx(2 / 3)


# --- processes


class Breaking(attack_examples.LargestSite):
    """Has a mistake, or ends its process."""

    name = "breaking"

    def run(self, defence, seed, effort):
        if defence.scheme == "bonawitz":
            os._exit(3)
        raise KeyError(seed)


def test_an_attack_with_a_mistake_is_named_with_its_defence_and_what_was_finished_is_kept(tmp_path):
    journal = Journal(tmp_path / "attacks.jsonl", Piece, resume=True)
    tasks = tasks_of([attack_examples.LargestSite(), Breaking()], [NAMED["none"]], EFFORT, journal)
    with pytest.raises(RuntimeError, match=r"breaking × none, seed 0 failed; --resume(.|\n)*KeyError: 0"):
        finish(tasks, journal, still, workers=1)
    assert [json.loads(line)["attack"] for line in (tmp_path / "attacks.jsonl").open()][-1] == "largest-site"


def test_a_process_that_ends_is_told_with_what_it_ran(tmp_path):
    journal = Journal(tmp_path / "attacks.jsonl", Piece, resume=True)
    tasks = tasks_of([Breaking()], [attack_examples.FEW], Effort((0, 1)), journal)
    with pytest.raises(WorkerLost, match=r"these ran: .*breaking × few, seed 0"):
        finish(tasks, journal, still, workers=2)


# --- names


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(ParameterError, match=r"--attack 'imprnt' is unknown \(did you mean 'imprint'\?\)"):
        registry.chosen("--attack", ["imprnt"], registry.attacks())


@pytest.mark.parametrize(
    ("value", "said"),
    [("FEW", "is no Attack"), ("nothing", "does not load")],
)
def test_a_package_s_attack_is_found_or_refused_by_name(monkeypatch, value, said):
    def bring(*values):
        entries = [
            EntryPoint("brought", f"{attack_examples.__name__}:{value}", registry.ATTACKS_GROUP) for value in values
        ]
        monkeypatch.setattr(registry, "entry_points", lambda group: entries)

    bring("LargestSite")
    assert "largest-site" in registry.attacks()
    bring("LargestSite", "LargestSite")
    with pytest.raises(ParameterError, match="two are called 'largest-site'"):
        registry.attacks()
    bring(value)
    with pytest.raises((ParameterError, TypeError), match=said):
        registry.attacks()


# --- the docs


def test_the_page_lists_the_attacks_that_are_there():
    text = (ROOT / "docs/attacks.md").read_text("utf-8")
    attacks, defences = text.split("## The defences")
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", attacks, re.M)) == sorted(registry.attacks())
    assert {name for row in re.findall(r"^\| (`.*?) \|", defences, re.M) for name in row.strip("`").split("`, `")} == {
        *NAMED
    }


def test_the_attack_on_the_page_is_the_one_that_is_tested(tmp_path):
    shown = re.search(
        r"^```python\n(.*?class LargestSite.*?)```", (ROOT / "docs/attacks.md").read_text("utf-8"), re.S | re.M
    )
    assert shown
    assert shown[1] in Path(attack_examples.__file__).read_text("utf-8")
    matrix = small(tmp_path, [attack_examples.LargestSite()], [attack_examples.FEW], Effort((0, 1, 2)))
    assert [cell.succeeded for cell in matrix.cells] == [False, True]
