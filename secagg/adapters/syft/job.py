"""One request as a PySyft job of two files: the request, and a program that is not meant to be run.

The owner's own secagg answers it. PySyft would run the job by its run.sh, which is the scientist's and not read here.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from secagg.listing import listed
from secagg.round.own_training import Training
from secagg_protocols import ParameterError, ProtocolViolation, WireError

PREFIX = "secagg-"
"""Of the names of our jobs."""
ANSWER = "answer.bin"
PARAMS_LIMIT = 1 << 26
"""Longest file with a request that an owner reads, in bytes."""
PENDING, DONE, REJECTED, FAILED = "pending", "done", "rejected", "failed"
"""What PySyft calls the states of a job."""

_MAIN, _PARAMS = "code/main.py", "code/params.json"
_PYSYFTS_OWN = {"config.yaml", "run.sh"}
_PERMISSIONS = "syft.pub.yaml"
PROGRAM = "raise SystemExit('This is answered by the secagg that the owner has installed, and never run.')\n"


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The file with the request; JSON has bytes in base64, since PySyft carries text. training: where an update is
    asked for. model: with the request that a vector answers (`secagg.round.packed`)."""

    request: bytes
    training: Training | None = None
    model: bytes = b""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep PySyft from printing each step of its own."""
    with redirect_stdout(io.StringIO()):
        yield


def submit(client: Any, owner: str, name: str, params: Params) -> bool:
    """Scientist: submit a job to one owner, anew where it may be half submitted; tell whether the owner is a peer.

    Raises `ParameterError` for one that no owner would read.
    """
    held = request_file(params)
    with TemporaryDirectory() as folder, quiet():
        code = Path(folder) / "code"
        code.mkdir()
        (code / "main.py").write_text(PROGRAM, encoding="utf-8")
        (code / "params.json").write_bytes(held)
        for half in _folders(client, owner, name):
            shutil.rmtree(half)
        client.submit_python_job(user=owner, code_path=str(code), job_name=name, entrypoint="main.py")
    return bool(_folders(client, owner, name))


def request_file(params: Params) -> bytes:
    """Return the file with a request. Raises `ParameterError` for one that no owner would read."""
    held = msgspec.json.encode(params)
    if len(held) > PARAMS_LIMIT:
        raise ParameterError(
            f"the request takes {len(held)} bytes as a job, and owners read {PARAMS_LIMIT}: train a smaller model, or "
            "under Flower or NVIDIA FLARE"
        )
    return held


def _folders(client: Any, owner: str, name: str) -> list[Path]:
    """Return the folder that a scientist submits a job from, if it is there: PySyft's layouts differ in a level."""
    inbox = client.syftbox_folder / owner / "app_data" / "job" / "inbox" / client.email
    return [*inbox.glob(name), *inbox.glob(f"*/{name}")]


def read_params(job: Any) -> Params:
    """Owner: return what a job asks, read once: whatever is synced later is another job's matter.

    Raises `ProtocolViolation` for a job with other files, `WireError` for one without a request.
    """
    root = job.job_submission_path
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()} - {_PERMISSIONS}
    if strange := sorted(found ^ {_MAIN, _PARAMS, *_PYSYFTS_OWN}):
        raise ProtocolViolation(f"the job's files are not those of a request of secagg: {listed(strange)}")
    if _read(root / _MAIN) != PROGRAM.encode():
        raise ProtocolViolation("the job's main.py is not that of a request of secagg, and no other one is answered")
    try:
        return msgspec.json.decode(_read(root / _PARAMS), type=Params)
    except msgspec.MsgspecError as error:
        raise WireError(f"the job's params.json holds no request: {error}") from None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(PARAMS_LIMIT + 1)
    if len(data) > PARAMS_LIMIT:
        raise WireError(f"the job's {path.name} is longer than {PARAMS_LIMIT} bytes")
    return data


def deposit(job: Any, answer: bytes) -> None:
    """Owner: put the answer, and nothing else, where the scientist finds it."""
    with TemporaryDirectory() as folder, quiet():
        file = Path(folder) / ANSWER
        file.write_bytes(answer)
        job.accept_by_depositing_result(str(file))


def read_answer(job: Any, limit: int) -> bytes:
    """Scientist: return what was deposited, no more than one byte beyond the limit; empty where there is nothing."""
    with quiet():
        files = [path for path in job.output_paths if path.name == ANSWER and path.is_file()]
    if not files:
        return b""
    with files[0].open("rb") as file:
        return bytes(file.read(limit + 1))
