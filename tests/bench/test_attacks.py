"""`secagg bench attacks`: an attack succeeds where the defence is broken, and what is claimed to stop it does."""

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import secagg
from secagg.codec import Layout
from secagg.schemes import PROTECTING, make_scheme
from secagg_bench.attacks import command, costs, registry
from secagg_bench.attacks.attack import Effort, Finding, Records
from secagg_bench.attacks.command import run_attacks
from secagg_bench.attacks.defence import DEFENCES, Defence
from secagg_bench.attacks.matrix import run_matrix
from secagg_bench.attacks.pieces import Piece
from secagg_bench.attacks.records.imprint import BINS, ROWS, Imprint
from secagg_bench.attacks.released import codec_for, decoded, released
from secagg_bench.journal import Journal
from secagg_protocols import InsecureDeterministicRandomness, ParameterError

from . import attack_examples

ROOT = Path(__file__).parents[2]
NAMED = {defence.name: defence for defence in DEFENCES}
EFFORT = Effort((0,), quick=True)

app = typer.Typer()
app.command()(run_attacks)


def still(done: int, total: int, text: str) -> None:
    """Move no bar."""


def small(folder, attacks, defences, effort=EFFORT):
    journal = Journal(folder / "attacks.jsonl", Piece, resume=True)
    return run_matrix(attacks, defences, effort, journal, still)


@pytest.mark.parametrize("name", sorted(registry.attacks()))
def test_an_attack_succeeds_where_the_defence_is_broken(name):
    attack = registry.attacks()[name]
    found = attack.run(attack.weak(), 0, EFFORT)
    assert found.value >= attack.metric.success > found.baseline


@pytest.mark.parametrize("name", sorted(NAMED))
def test_what_a_defence_is_claimed_to_stop_it_stops(name):
    defence = NAMED[name]
    seen = set()
    for attack in registry.attacks().values():
        if attack.held_by(defence) and not attack.no_view(defence) and attack.view(defence) not in seen:
            found = attack.run(defence, 0, EFFORT)
            assert found.value < attack.metric.success, attack.name
            assert found.value <= found.baseline + attack.metric.leeway, attack.name


def test_with_the_model_bound_all_refuse_before_any_vector_is_sent():
    for adversary in ("bonawitz", "bonawitz-active"):
        found = registry.attacks()["suppression"].run(NAMED[adversary], 0, EFFORT)
        assert found.note == "6 of 6 sites refused, and 0 sent a masked vector"


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
    [(lambda defence: 1.0, "is claimed to stop"), (lambda defence: 0.0, "fails where it must succeed")],
)
def test_a_claim_that_does_not_hold_and_a_dead_attack_are_wrong(tmp_path, value, said):
    matrix = small(tmp_path, [Counting(value)], [attack_examples.FEW])
    (cell,) = matrix.wrong
    assert said in cell.wrong


def test_a_table_that_is_too_small_is_said_in_its_cell(tmp_path):
    rng = np.random.default_rng(0)
    rows = Records("few rows", rng.uniform(-1, 1, (100, 4)), rng.integers(0, 2, 100))
    matrix = small(tmp_path, [Imprint()], [NAMED["bonawitz"]], Effort((0,), records=rows))
    assert "table is too small: 16 sites of 8 rows" in matrix.cells[0].reason
    assert not matrix.wrong
    assert matrix.curves == {"imprint": ()}


def test_an_interval_is_student_s_and_stays_within_the_metric(tmp_path):
    found = iter([0.0, 1.0, 1.0])
    matrix = small(tmp_path, [Counting(lambda _: next(found))], [NAMED["none"]], Effort((0, 1, 2)))
    low, high = matrix.cells[0].interval
    assert (low, high) == (0, 1)
    assert matrix.cells[0].value == pytest.approx(2 / 3)


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
        found = [
            EntryPoint("brought", f"{attack_examples.__name__}:{value}", registry.ATTACKS_GROUP) for value in values
        ]
        monkeypatch.setattr(registry, "entry_points", lambda group: found)

    bring("LargestSite")
    assert "largest-site" in registry.attacks()
    bring("LargestSite", "LargestSite")
    with pytest.raises(ParameterError, match="two are called 'largest-site'"):
        registry.attacks()
    bring(value)
    with pytest.raises((ParameterError, TypeError), match=said):
        registry.attacks()


# --- the command and its page


@pytest.fixture
def cheap(monkeypatch):
    """Train no model, and try one seed."""
    monkeypatch.setattr(command, "QUICK_SEEDS", 1)
    monkeypatch.setattr(costs, "_trained", lambda *_: None)
    monkeypatch.setattr(costs, "VALUES", 50)


@pytest.mark.usefixtures("cheap")
def test_the_command_writes_a_page_that_fetches_nothing(tmp_path):
    asked = ["--attack", "imprint", "--attack", "both-shares", "--defence", "none", "--defence", "bonawitz", "--quick"]
    said = CliRunner().invoke(app, [*asked, "--json", "--out", str(tmp_path)])
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert {(cell["attack"], cell["defence"]) for cell in found["cells"]} >= {
        ("imprint", "none"),
        ("both-shares", "bonawitz"),
    }
    assert all({"value", "baseline", "values"} <= cell.keys() or cell["no_view"] for cell in found["cells"])
    page = (tmp_path / "attacks.html").read_text("utf-8")
    assert "nothing is shared: the server sees the vector" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert "$" not in page
    assert not re.findall(r"url\(\s*[\"']?(?!#|data:)", page)


@pytest.mark.usefixtures("cheap")
def test_a_table_of_one_s_own_gets_the_attacks_on_tables(tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{one:.4f},{two:.4f},{'yes' if one > 0.5 else 'no'}" for one, two in rng.uniform(size=(300, 2))]
    table = tmp_path / "own.csv"
    table.write_text("\n".join(["age,dose,ill", *lines]) + "\n")
    asked = ["--csv", str(table), "--target", "ill", "--defence", "bonawitz", "--quick", "--json"]
    said = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "out")])
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert [attack["name"] for attack in found["attacks"]] == ["imprint"]
    assert all("value" in cell for cell in found["cells"])
    with pytest.raises(ParameterError, match="'suppression' needs no rows of a table"):
        CliRunner().invoke(app, [*asked, "--attack", "suppression"], catch_exceptions=False)


def test_the_attack_on_the_page_is_the_one_that_is_tested(tmp_path):
    shown = re.search(
        r"^```python\n(.*?class LargestSite.*?)```", (ROOT / "docs/attacks.md").read_text("utf-8"), re.S | re.M
    )
    assert shown
    assert shown[1] in Path(attack_examples.__file__).read_text("utf-8")
    matrix = small(tmp_path, [attack_examples.LargestSite()], [attack_examples.FEW], Effort((0, 1, 2)))
    assert [cell.succeeded for cell in matrix.cells] == [False, True]
