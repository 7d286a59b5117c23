"""The command `attacks`, and its page in a browser: figures are there, nothing is fetched, nothing is cut off."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from secagg_bench.attacks import command, costs, pictures
from secagg_bench.attacks.attack import Curve, Line
from secagg_bench.attacks.command import run_attacks
from secagg_bench.attacks.pieces import Trained
from secagg_protocols import ParameterError

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
WIDTHS = (1200, 400)
SCHEMES = ("light", "dark")
POLICY = "img-src data:"
MEASURE = """<script>
const blocked = [];
addEventListener("securitypolicyviolation", event => blocked.push(event.blockedURI));
addEventListener("load", () => parent.postMessage({
  width: innerWidth,
  dark: matchMedia("(prefers-color-scheme: dark)").matches,
  over: document.documentElement.scrollWidth - innerWidth,
  figures: [...document.querySelectorAll("figure svg, figure img")].map(one => one.getBoundingClientRect().height),
  images: [...document.images].map(image => image.naturalWidth),
  ink: getComputedStyle(document.body).color,
  paper: getComputedStyle(document.body).backgroundColor,
  blocked: blocked.concat(performance.getEntriesByType("resource").map(entry => entry.name)),
}, "*"));
</script>"""
COLLECT = """<!doctype html><script>
const found = [];
addEventListener("message", event => { found.push(event.data); document.title = JSON.stringify(found); });
</script>"""

app = typer.Typer()
app.command()(run_attacks)


@pytest.fixture(scope="module")
def cheap():
    """Train no model, and try one seed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(command, "QUICK_SEEDS", 1)
        monkeypatch.setattr(costs, "_trained", lambda kind, where: Trained(*where, (0.9,)))
        monkeypatch.setattr(costs, "VALUES", 50)
        yield


def attacks(folder, *asked):
    """Run the command in this process, and return what it says."""
    return CliRunner().invoke(app, [*asked, "--quick", "--workers", "1", "--json", "--out", str(folder)])


@pytest.fixture(scope="module")
def made(cheap, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacks")
    said = attacks(folder, "--attack=imprint", "--attack=both-shares", "--defence=none", "--defence=bonawitz")
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout), (folder / "attacks.html").read_text("utf-8")


def test_the_command_says_each_cell_with_its_guess_or_why_there_is_none(made):
    found, page = made
    cells = {(cell["attack"], cell["defence"]): cell for cell in found["cells"]}
    assert cells["both-shares", "none"]["no_view"] == "nothing is shared: the server sees the vector"
    assert cells["imprint", "none"]["value"] > cells["imprint", "bonawitz"]["value"] > 0.1
    assert all({"value", "baseline", "values"} <= cell.keys() or cell["no_view"] for cell in found["cells"])
    assert "nothing is shared: the server sees the vector" in page
    assert "$" not in page


def test_the_page_names_nothing_outside(made):
    _, page = made
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert not re.findall(r"url\(\s*[\"']?(?!#|data:)", page)


def test_a_logarithmic_axis_with_many_places_says_its_decades_in_plain_digits():
    places = [10 ** (-3 + number / 10) for number in range(31)]
    drawn = pictures.curve(Curve("ROC", "false positives", "true positives", [Line("a", places, places)], True))
    assert "$" not in drawn
    assert ">0.001<" in drawn


def opened(folder, page):
    """Return what a browser measures of the page at each width, in each scheme, and what it says on its console.

    It takes a copy, whose policy lets the measuring script run.
    """
    assert POLICY in page
    measured = page.replace(POLICY, f"{POLICY}; script-src 'unsafe-inline'").replace("</head>", f"{MEASURE}</head>")
    (folder / "page.html").write_text(measured, "utf-8")
    frames = "".join(
        f'<iframe src="page.html" width="{width}" height="800" style="color-scheme: {scheme}"></iframe>'
        for width in WIDTHS
        for scheme in SCHEMES
    )
    (folder / "frames.html").write_text(COLLECT + frames, "utf-8")
    asked = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={folder}"]
    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking"]
    done = subprocess.run(
        [BROWSER, *asked, *offline, "--dump-dom", (folder / "frames.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stderr
    return json.loads(title[1]), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(BROWSER is None, reason="needs chromium or chrome on the PATH")
def test_a_browser_shows_every_figure_fetches_nothing_and_cuts_nothing_off(made, tmp_path):
    _, page = made
    measured, console = opened(tmp_path, page)
    assert console == []
    assert {(one["width"], one["dark"]) for one in measured} == {(w, dark) for w in WIDTHS for dark in (False, True)}
    for one in measured:
        assert one["over"] <= 0, one
        assert len(one["figures"]) >= 5, one
        assert min(one["figures"]) > 20, one
        assert min(one["images"]) > 20, one
        assert one["blocked"] == []
    papers = {one["dark"]: (one["ink"], one["paper"]) for one in measured}
    assert papers[True] != papers[False]


@pytest.mark.skipif(BROWSER is None, reason="needs chromium or chrome on the PATH")
def test_a_browser_would_tell_what_is_fetched(made, tmp_path):
    _, page = made
    measured, console = opened(tmp_path, page.replace("</main>", '<img src="https://example.org/x.png"></main>'))
    assert all(one["blocked"] for one in measured)
    assert "example.org" in console[0]


@pytest.mark.usefixtures("cheap")
def test_a_table_of_one_s_own_gets_the_attacks_on_tables(tmp_path):
    rng = np.random.default_rng(0)
    drawn = enumerate(rng.uniform(size=(300, 2)))
    lines = [f"P{number},{one:.4f},{two:.4f},{'yes' if one > 0.5 else 'no'}" for number, (one, two) in drawn]
    table = tmp_path / "own.csv"
    table.write_text("\n".join(["who,age,dose,ill", *lines]) + "\n")
    asked = ["--csv", str(table), "--target", "ill", "--ignore", "who", "--defence", "bonawitz"]
    said = attacks(tmp_path / "out", *asked)
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    words = [cell["words"] for cell in found["cells"] if cell["attack"] == "imprint" and not cell["broken"]]
    assert re.fullmatch(r"\d+ of 128 of your rows came back from the sum of 16 sites( \(\d+ by guessing\))?\.", *words)
    assert words[0] in (tmp_path / "out/attacks.html").read_text("utf-8")
    assert words[0] in said.stderr
    assert sum(attack["name"] in said.stderr for attack in found["attacks"]) >= 4
    assert all("value" in cell for cell in found["cells"])
    with pytest.raises(ParameterError, match="'suppression' needs no rows of a table"):
        CliRunner().invoke(app, [*asked, "--attack", "suppression"], catch_exceptions=False)
    assert "--ignore: it says how to read --csv" in attacks(tmp_path / "out", "--ignore", "who").stderr
