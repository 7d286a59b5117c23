"""Every example prints what its README shows, and every block of a tutorial runs as it stands."""

import os
import re
import runpy
import shlex
import ssl
import stat
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from secagg.cli import main
from secagg.round import SitePolicy

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/README.md"))
TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
FLOORS = [ROOT, *(ROOT / name for name in ("he_backend", "protocols", "bench"))]


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    """What runs a page: docs/run_page.py."""
    spec = spec_from_file_location("run_page", ROOT / "docs/run_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["run_page"] = module  # a dataclass looks for its module there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, as a reader has it. What a page installs goes into it, fetched from nowhere."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    loaded = set(sys.modules)
    installed = tmp_path / "installed"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    path = [tmp_path, installed, *FLOORS, os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, path)))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    for name, value in (("TARGET", str(installed)), ("NO_INDEX", "1"), ("DISABLE_PIP_VERSION_CHECK", "1")):
        monkeypatch.setenv(f"PIP_{name}", value)
    yield tmp_path
    torch.set_num_threads(threads)
    for name in set(sys.modules) - loaded:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


NEEDED = {"lung-survival": "lifelines", "syft-breast-cancer": "syft_rds"}


@pytest.mark.parametrize(
    "name", ["active-roster", "dp", "lora-adapters", "lung-survival", "syft-breast-cancer", "torch-quickstart"]
)
def test_an_example_prints_what_its_readme_shows(
    name: str, folder: Path, runner: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(NEEDED.get(name, "dp_accounting"))
    (block,) = [one for one in runner.blocks_of(EXAMPLES / name / "README.md") if one.kind == "console"]
    ((command, shown),) = block.commands()
    program = ROOT / command.removeprefix("python ")
    assert program.parent == EXAMPLES / name
    monkeypatch.setattr(sys, "argv", [str(program)])
    runpy.run_path(str(program), run_name="__main__")
    runner.check_output(f"README of {name}", shown, capsys.readouterr().out)


def test_the_made_up_table_trains_as_its_readme_says(
    folder: Path, runner: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dp_accounting")
    (block,) = [one for one in runner.blocks_of(EXAMPLES / "own-table/README.md") if one.kind == "console"]
    (make, shown), (train, _) = block.commands()
    monkeypatch.setattr(sys, "argv", make.split()[1:])
    runpy.run_path(str(ROOT / make.split()[1]), run_name="__main__")
    runner.check_output("README of own-table", shown, capsys.readouterr().out)
    monkeypatch.setattr(sys, "argv", shlex.split(train))
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    assert "8 institutions, 10 rounds" in capsys.readouterr().out
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "computed from the rows" not in report
    assert "was taken from the data" not in report


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_every_block_of_a_tutorial_runs(page: Path, folder: Path, runner: ModuleType) -> None:
    if page.stem == "fl-engineer":
        pytest.importorskip("flwr", reason="Flower is not installed")
    runner.run_page(page, folder)


def test_a_page_that_shows_what_does_not_come_out_is_refused(folder: Path, runner: ModuleType) -> None:
    page = folder / "page.md"
    for block, words in (
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "page.md line 5 shows"),
        ("```console\n$ echo 1\n2\n```\n", "page.md line 1 shows"),
        ("```console\n$ false\n```\n", "false ended with 1"),
        ("```console\n$ true # exit code 1\n```\n", "ended with 0"),
        ("```sh\necho 1\n```\n", "nothing would run it"),
    ):
        page.write_text(block, encoding="utf-8")
        with pytest.raises(runner.PageError, match=re.escape(words)):
            runner.run_page(page, folder)


@pytest.fixture
def consortium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `prepare.py` makes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["prepare.py", "consortium"])
    runpy.run_path(str(EXAMPLES / "deployment-tls/prepare.py"), run_name="__main__")
    return tmp_path / "consortium"


def test_the_deployments_certificates_hold_for_its_machines_and_for_no_other(consortium: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(consortium / "server/tls.pem", consortium / "server/tls.key")
    for host in ("localhost", "127.0.0.1"):
        shake_hands(server, ssl.create_default_context(cafile=consortium / "north/ca.pem"), host)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, ssl.create_default_context(cafile=consortium / "north/ca.pem"), "elsewhere")


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    """Complete a TLS handshake in memory."""
    up = ssl.MemoryBIO()
    down = ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=host), server.wrap_bio(up, down, server_side=True)]
    while ends:
        for end in tuple(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue


def test_the_deployments_hospitals_accept_no_server_that_could_cheat(consortium: Path) -> None:
    rosters = set()
    for name in ("north", "south", "east", "west"):
        config = dict(re.findall(r"([\w-]+)='?([^' ]+)", (consortium / name / "node.config").read_text("utf-8")))
        own = {key: value for key, value in config.items() if key.startswith("secagg-")}
        policy = SitePolicy.read({**own, "secagg-minimum-cohort": int(own["secagg-minimum-cohort"])})
        assert policy.floor.adversary == "active"
        assert policy.own_entry() == int(config["partition-id"]) + 1
        rosters.add(policy.roster.digest if policy.roster else b"")
        for secret in ("identity.json", "tls.key"):
            assert stat.S_IMODE((consortium / name / secret).stat().st_mode) == 0o600
    assert len(rosters) == 1


def test_the_deployments_programs_take_the_options_of_the_readme() -> None:
    """That each program takes them is what the test of a real deployment shows."""
    text = (EXAMPLES / "deployment-tls/README.md").read_text(encoding="utf-8")
    started = (ROOT / "tests/adapters/flower/test_deployment.py").read_text(encoding="utf-8")
    used = {
        option
        for line in re.findall(r"^\$ .*(flower-super.*)$", text, re.MULTILINE)
        for option in re.findall(r" (--[\w-]+)", line)
    }
    assert len(used) > 8
    assert not [option for option in sorted(used) if f'"{option}"' not in started]


def test_every_example_is_listed_and_short() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for example in FOLDERS:
        assert f"({example.name}/README.md)" in listed, example.name
        assert len((example / "README.md").read_text(encoding="utf-8").splitlines()) <= 40, example.name
        for program in example.glob("*.py"):
            assert len(program.read_text(encoding="utf-8").splitlines()) <= 120, program


@pytest.mark.parametrize(
    "page", [EXAMPLES / "README.md", *(folder / "README.md" for folder in FOLDERS)], ids=lambda page: page.parent.name
)
def test_every_link_of_an_example_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert targets
    assert not [target for target in targets if not (page.parent / target).exists()]
