"""`secagg flare site`: both files or neither, nothing of the site's own is changed, and what is missing is said."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from secagg.adapters import flare_parts
from secagg.round import SitePolicy
from secagg_protocols import Identity, Roster

Command = Callable[..., Any]  # tests/cli/conftest.py


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """The folder that a site is provisioned with, as far as it matters here."""
    for name in ("local", "startup"):
        (tmp_path / "site-1" / name).mkdir(parents=True)
    (tmp_path / "site-1" / "startup" / "fed_client.json").write_text("{}", encoding="utf-8")
    return tmp_path / "site-1"


def parts_of(kit: Path) -> dict[str, Any]:
    held = flare_parts.read(kit / "local" / "privacy.json")
    assert held is not None
    return held


def test_a_site_is_set_up_once(secagg_command: Command, kit: Path) -> None:
    told = secagg_command("flare", "site", kit, "--minimum-cohort", 5, "--json").json()
    assert told["written"] == told["files"]
    file = kit / "local/secagg/policy.json"
    policy = json.loads(file.read_text(encoding="utf-8"))
    assert policy == told["policy"]
    assert SitePolicy.load(file).floor.minimum_cohort == 5
    assert (kit / "local/secagg/store").is_dir()
    flare_parts.check(parts_of(kit))
    again = secagg_command("flare", "site", kit, "--json")
    assert again.code == 0
    assert again.json()["written"] == []
    assert again.json()["policy"] == policy


def test_an_active_floor_needs_both_files_and_finds_them_from_anywhere(
    secagg_command: Command, kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kit)
    identities = [Identity.generate(f"party {own}") for own in range(4)]
    Roster.of("x25519", [identity.public(own) for own, identity in enumerate(identities)]).save(Path("roster.json"))
    identities[1].save(Path("identity.json"))
    for files, missing in ((["--identity", "identity.json"], "--roster"), (["--roster", "roster.json"], "--identity")):
        refused = secagg_command("flare", "site", kit, "--adversary", "active", *files)
        assert refused.code == 2
        assert missing in refused.stderr
        assert not (kit / "local/privacy.json").exists()
    both = ["--roster", "roster.json", "--identity", "identity.json"]
    assert secagg_command("flare", "site", kit, "--adversary", "active", *both).code == 0
    monkeypatch.chdir("/")
    assert SitePolicy.load(kit / "local/secagg/policy.json").own_entry() == 1


def without_filter(parts: dict[str, Any]) -> None:
    parts["scopes"].append({"name": "public", "task_data_filters": parts["scopes"][0]["task_data_filters"]})


def one_after_ours(parts: dict[str, Any]) -> None:
    parts["scopes"][0]["task_result_filters"].append({"path": "nvflare.app_common.filters.svt_privacy.SVTPrivacy"})


def wrong_direction(parts: dict[str, Any]) -> None:
    parts["scopes"][0]["task_result_filters"][0]["direction"] = "in"


def no_scope(parts: dict[str, Any]) -> None:
    parts["scopes"] = []


def no_component(parts: dict[str, Any]) -> None:
    del parts["components"]


def no_list(parts: dict[str, Any]) -> None:
    parts["scopes"][0]["task_data_filters"] = "secagg"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_filter, "task_result_filters in scope 'public'"),
        (one_after_ours, "the last of task_result_filters"),
        (wrong_direction, "must run in direction 'out'"),
        (no_scope, "has no scope"),
        (no_component, "has no component 'secagg'"),
        (no_list, "the last of task_data_filters"),
    ],
)
def test_a_file_of_the_sites_own_is_not_changed_and_told_what_to_merge(
    secagg_command: Command, kit: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    parts = flare_parts.made()
    change(parts)
    file = kit / "local/privacy.json"
    file.write_text(json.dumps(parts), encoding="utf-8")
    refused = secagg_command("flare", "site", kit)
    assert refused.code == 1
    assert len(refused.stderr.splitlines()) == 1
    assert said in refused.stderr
    assert '{"path": "secagg.adapters.flare.site.ResultFilter", "args": {}}' in refused.stderr
    assert json.loads(file.read_text(encoding="utf-8")) == parts
    assert not (kit / "local/secagg/policy.json").exists()


def test_a_site_with_filters_of_its_own_before_ours_will_do(secagg_command: Command, kit: Path) -> None:
    parts = flare_parts.made()
    parts["scopes"][0]["task_result_filters"].insert(0, {"path": "nvflare.app_common.filters.svt_privacy.SVTPrivacy"})
    (kit / "local/privacy.json").write_text(json.dumps(parts), encoding="utf-8")
    assert secagg_command("flare", "site", kit).code == 0
    assert parts_of(kit) == parts


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("privacy.json", "{", "cannot be read as JSON"),
        ("privacy.json", "[]", "holds no JSON object"),
        ("secagg/policy.json", '{"minimum-cohorts": 3}', "minimum-cohorts in "),
    ],
)
def test_a_damaged_file_is_named(secagg_command: Command, kit: Path, name: str, text: str, said: str) -> None:
    (kit / "local/secagg").mkdir()
    (kit / "local" / name).write_text(text, encoding="utf-8")
    refused = secagg_command("flare", "site", kit)
    assert refused.code in (1, 2)
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_options_do_not_change_a_policy_that_is_there(secagg_command: Command, kit: Path) -> None:
    secagg_command("flare", "site", kit)
    refused = secagg_command("flare", "site", kit, "--minimum-cohort", 5)
    assert refused.code == 1
    assert '"minimum-cohort": 5' in refused.stderr
    assert "is not changed" in refused.stderr


def test_what_is_no_sites_kit_is_refused(secagg_command: Command, tmp_path: Path) -> None:
    refused = secagg_command("flare", "site", tmp_path)
    assert refused.code == 2
    assert "is no site's kit" in refused.stderr


def test_the_parts_are_where_the_file_says() -> None:
    pytest.importorskip("nvflare", reason="NVIDIA FLARE is not installed: pip install -c constraints.txt -e '.[flare]'")
    site = import_module("secagg.adapters.flare.site")
    paths = [flare_parts.PARTICIPANT, *(path for path, _ in flare_parts.FILTERS.values())]
    assert {path.rpartition(".")[0] for path in paths} == {site.__name__}
    assert all(hasattr(site, path.rpartition(".")[2]) for path in paths)
    assert site.FOLDER == "secagg"
