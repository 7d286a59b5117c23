"""A site's `local/privacy.json`, as far as it holds our parts: FLARE builds them in every job, whatever the job says.

It takes components only where there are scopes, and a job chooses its scope by name: each must have both filters, and
each filter must be the last that runs, so that what leaves is what it made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secagg_protocols import InputError, ParameterError

NAME = "privacy.json"
POLICY = "policy.json"
SCOPE = "secagg"
COMPONENT = "secagg"
PARTICIPANT = "secagg.adapters.flare.site.Participant"
FILTERS = {
    "task_data_filters": ("secagg.adapters.flare.site.DataFilter", "in"),
    "task_result_filters": ("secagg.adapters.flare.site.ResultFilter", "out"),
}
"""Key of a scope → our filter there, and the direction in which it must run, the one that FLARE takes at a site."""


def made() -> dict[str, Any]:
    """Return the content of a file with our parts and nothing else."""
    scope = {"name": SCOPE, "properties": {}, **{key: [_element(path)] for key, (path, _) in FILTERS.items()}}
    return {
        "scopes": [scope],
        "default_scope": SCOPE,
        "components": [{"id": COMPONENT, **_element(PARTICIPANT)}],
    }


def read(file: Path) -> dict[str, Any] | None:
    """Return the JSON object that a file of the site holds; None where there is no file. Raises `InputError`."""
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as JSON ({error})") from None
    if not isinstance(held, dict):
        raise InputError(f"{file} holds no JSON object")
    return held


def check(held: Mapping[str, Any]) -> None:
    """Raise `ParameterError` where a job could run at this site without our parts, naming the first that is missing."""
    scopes = held.get("scopes")
    if not isinstance(scopes, list) or not scopes:
        raise ParameterError(f"{NAME} has no scope: FLARE then leaves its components out; {_REMEDY}")
    for scope in scopes:
        for key, (path, direction) in FILTERS.items():
            _check_last(scope, key, path, direction)
    components = held.get("components")
    if not isinstance(components, list) or not any(_is_ours(each, PARTICIPANT, id=COMPONENT) for each in components):
        raise ParameterError(f"{NAME} has no component {COMPONENT!r} with path {PARTICIPANT}; {_REMEDY}")


def check_own(local: Path, part: object, engine: Any, scope: object) -> None:
    """Raise `ParameterError` where a job could go round the parts that a site has in its folder, or this job does.

    part: the participant that asks; one that a job brought has no file to answer for. scope: what FLARE made of the
    job's; None where it has none. FLARE leaves out what is disabled; and a client that is older than the file takes
    jobs of any scope.
    """
    if engine.get_component(COMPONENT) is not part:
        return
    if scope is None:
        raise ParameterError(
            f"FLARE runs this job in no scope of {NAME}, and so without its filters, as its simulator always does: "
            "there the recipe's parts='job' brings them"
        )
    if (held := read(local / NAME)) is not None:
        check(held)
    if not (local / SCOPE / POLICY).exists():
        raise ParameterError(f"{local / SCOPE / POLICY} is missing: this site says nowhere what it accepts; {_REMEDY}")
    for key, (path, direction) in FILTERS.items():
        last = type((getattr(scope, key, {}).get(direction) or [None])[-1])
        if path != f"{last.__module__}.{last.__qualname__}":
            raise ParameterError(
                f"{path} is not the last of {key} in this job's scope: is there no default_scope in {NAME}, or is the "
                f"client that runs older than that file?; {_REMEDY}"
            )


def to_merge() -> str:
    """Say, in one line, what a file of somebody's own needs."""
    lists = "; ".join(f"of its {key} {json.dumps(_element(path))}" for key, (path, _) in FILTERS.items())
    component = json.dumps({"id": COMPONENT, **_element(PARTICIPANT)})
    return f"in every scope, as the last {lists}; and among its components {component}"


_REMEDY = "secagg flare site WORKSPACE says what it must hold"


def _check_last(scope: object, key: str, path: str, direction: str) -> None:
    name = scope.get("name") if isinstance(scope, dict) else None
    held = scope.get(key) if isinstance(scope, dict) else None
    last = held[-1] if isinstance(held, list) and held else None
    if not isinstance(last, dict) or not _is_ours(last, path) or last.get("disabled"):
        raise ParameterError(f"{NAME}: the last of {key} in scope {name!r} is not {path}; {_REMEDY}")
    if str(last.get("direction", direction)).lower() != direction:
        raise ParameterError(f"{NAME}: {path} in scope {name!r} must run in direction {direction!r}; {_REMEDY}")


def _is_ours(element: object, path: str, **more: str) -> bool:
    return isinstance(element, dict) and {"path": path, **more}.items() <= element.items()


def _element(path: str) -> dict[str, Any]:
    return {"path": path, "args": {}}
