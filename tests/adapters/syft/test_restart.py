"""Nothing is kept but folders: everyone's objects are thrown away between any two steps."""

import msgspec
import pytest

from secagg.adapters.syft import resume
from secagg.stats import Category, Count, Mean, Number, Query
from secagg_protocols import InputError, ParameterError
from secagg_protocols.core import storage
from secagg_protocols.errors import LocalError

QUERY = Query(
    columns={"sex": Category(("f", "m")), "age": Number(0, 120, 0)},
    rows=100,
    statistics=(Count("sex"), Mean("age", "sex")),
)


def test_all_objects_may_be_made_anew_after_every_step(federation):
    three = federation(3, adversary="active")
    folder = three.submit(QUERY).folder
    steps = 0
    while not (run := resume(folder, three.ds)).done:
        three.answer()
        three.owners = {name: three.owner(name) for name in three.names}
        run.step()
        steps += 1
    counted, mean = run.result(0)
    assert steps == 2 * 5
    assert list(counted.counts) == three.pooled["sex"].value_counts()[["f", "m"]].tolist()
    assert [row.mean for row in mean.rows] == pytest.approx(three.pooled.groupby("sex")["age"].mean().tolist())


class PowerCut(BaseException):
    """The process ends here."""


def test_a_job_that_may_not_have_left_when_the_process_ended_is_sent_again(federation, monkeypatch):
    def cut(engine, job):
        raise PowerCut

    three = federation(3)
    engine = three.ds[three.names[0]].sync_engine
    with monkeypatch.context() as patch:
        patch.setattr(type(engine), "push_job_files", cut)
        with pytest.raises(PowerCut):
            three.submit(QUERY)
    run = resume(three.root / "run 1", three.ds)
    run.step()
    three.answer()
    assert "pending" not in run.step().owners.values()
    assert run.status.step == "ShareKeys"
    three.answer()
    noted = run.folder / "asked.json"
    asked = msgspec.json.decode(noted.read_bytes())
    noted.write_bytes(msgspec.json.encode({**asked, "sent": []}))  # as if it had ended before it wrote them down
    run.step()
    assert run.status.step == "MaskedInput"
    counted, _ = three.go(run)
    assert counted["counts"] == three.pooled["sex"].value_counts()[["f", "m"]].tolist()


def test_a_folder_is_of_one_run_and_of_one_process(federation):
    three = federation(3)
    run = three.submit(QUERY)
    before = run.status
    run.step()
    assert run.status == before  # nothing is asked twice
    written = (run.folder / "rounds/inquiry").stat().st_mtime_ns
    assert not run.done
    assert (run.folder / "rounds/inquiry").stat().st_mtime_ns == written  # who looks writes nothing
    with pytest.raises(ParameterError, match="give their clients"):
        resume(run.folder, {three.names[0]: three.ds[three.names[0]]})
    descriptor = storage.open_locked(run.folder / "run.lock")
    with pytest.raises(LocalError, match=r"run\.lock is in use by another process"):
        run.step()
    with pytest.raises(LocalError, match=r"run\.lock is in use by another process"):
        resume(run.folder, three.ds)
    storage.os.close(descriptor)
    three.runs -= 1
    with pytest.raises(InputError, match="holds a run already: resume it"):
        three.submit(QUERY)
    (journal,) = run.folder.glob("rounds/round-1/journal")
    kept = journal.read_bytes()
    journal.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    with pytest.raises(InputError, match=r"round-1/journal is damaged at entry 1"):
        resume(run.folder, three.ds)
    (run.folder / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        resume(run.folder, three.ds)
    with pytest.raises(InputError, match=r"is .* the folder of a run"):
        resume(run.folder / "elsewhere", three.ds)
