"""A key's budget outlives whatever happens to its file; the file itself appears whole, and for its owner alone."""

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from secagg_he import Bfv, BudgetSpent, GroupKey, GroupKeyHandle
from secagg_he.delivery import Party, open_sealed, request, seal_for
from secagg_he.releases import FileReleases, MemoryReleases
from secagg_protocols import InputError, ProtocolViolation
from secagg_protocols.primitives.suites import suite_named

BUDGET = 2


@pytest.fixture
def state(tmp_path, monkeypatch):
    """This user's state, apart from that of other tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "secagg" / "releases"


@pytest.fixture
def spent(state, tmp_path):
    """The file of a key whose budget is spent."""
    path = tmp_path / "group.key"
    made().save(path)
    spend(GroupKey.load(path))
    return path


def made() -> GroupKey:
    return Bfv(3, 5, releases=BUDGET).make_group_key()[0]


def claim(key: GroupKey, number: int) -> None:
    key.releases.claim(key.key_id, key.budget, bytes([number]) * 32, b"a" * 32)


def spend(key: GroupKey) -> None:
    for number in range(BUDGET):
        claim(key, number)


def moved(path: Path) -> Path:
    return path.rename(path.with_name("moved.key"))


def copied(path: Path) -> Path:
    return Path(shutil.copy2(path, path.with_name("copied.key")))


def copied_with_its_folder(path: Path) -> Path:
    elsewhere = path.parent / "backup"
    elsewhere.mkdir()
    return Path(shutil.copy2(path, elsewhere / path.name))


def hard_linked(path: Path) -> Path:
    os.link(path, path.with_name("hard-linked.key"))
    return path.with_name("hard-linked.key")


def soft_linked(path: Path) -> Path:
    path.with_name("soft-linked.key").symlink_to(path)
    return path.with_name("soft-linked.key")


def delivered_again(path: Path) -> Path:
    """The maker, asked once more, seals the key for whom lost its file."""
    receiver, maker = (Party(number, suite_named("x25519")) for number in (2, 1))
    asked, secret = request(receiver)
    sealed = seal_for(GroupKey.load(path), asked, maker)
    path.unlink()
    again = path.with_name("again.key")
    open_sealed(sealed, secret, receiver).save(again)
    return again


@pytest.mark.parametrize(
    "taken",
    [moved, copied, copied_with_its_folder, hard_linked, soft_linked, delivered_again],
    ids=lambda way: way.__name__,
)
def test_the_budget_is_spent_wherever_the_key_file_goes(spent, taken):
    key = GroupKey.load(taken(spent))
    with pytest.raises(BudgetSpent, match="rotate the key"):
        claim(key, BUDGET)


def test_with_a_count_that_follows_the_files_name_a_copy_starts_afresh(spent):
    """What stood here before: the defence is that the count is found by user and key id."""
    copy = copied(spent)
    beside = FileReleases(copy.with_name(f"{copy.name}.releases"))
    key = GroupKey.from_json(copy.read_text(), beside)
    beside.begin(key.key_id)
    spend(key)


def test_a_key_whose_count_was_deleted_is_refused(spent, state):
    count = state / GroupKey.load(spent).key_id.hex()
    assert count.exists()
    count.unlink()
    with pytest.raises(InputError, match=r"no count of what was released.*rotate the key"):
        GroupKey.load(spent)


def test_a_count_that_is_deleted_under_a_loaded_key_releases_nothing(spent, state):
    key = GroupKey.load(spent)
    (state / key.key_id.hex()).unlink()
    with pytest.raises(InputError, match="no count"):
        claim(key, BUDGET)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b""])
def test_a_damaged_count_is_never_said_to_be_deleted(spent, state, damage, tmp_path):
    """Whoever deleted it, and had the key delivered again, would begin another."""
    key = GroupKey.load(spent)
    count = state / key.key_id.hex()
    count.write_bytes(damage(count.read_bytes()))
    for call in (
        lambda: GroupKey.load(spent),
        lambda: claim(key, BUDGET),
        lambda: key.save(tmp_path / "again.key"),
    ):
        with pytest.raises(InputError, match=r"is damaged.*rotate the key") as caught:
            call()
        assert "delete" not in str(caught.value)


def test_a_key_that_comes_as_a_bare_file_is_not_loaded(state, tmp_path):
    """From another machine or user: nobody here knows what was released under it."""
    path = tmp_path / "carried.key"
    path.write_text(made().to_json())
    path.chmod(0o600)
    with pytest.raises(InputError, match="made or delivered"):
        GroupKey.load(path)


def test_saving_writes_the_empty_count(state, tmp_path):
    key = made()
    key.save(tmp_path / "group.key")
    assert FileReleases.of_this_user().count(key.key_id) == 0
    assert stat.S_IMODE((state / key.key_id.hex()).stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602])
@pytest.mark.parametrize("kind", [GroupKey, GroupKeyHandle])
def test_a_file_that_others_may_read_or_write_is_refused_with_the_remedy(state, tmp_path, mode, kind):
    path = tmp_path / "file"
    key = made()
    (key if kind is GroupKey else key.handle).save(path)
    path.chmod(mode)
    with pytest.raises(InputError, match=rf"mode {mode:04o}\): chmod 600"):
        kind.load(path)
    path.chmod(0o400)
    kind.load(path)


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_crash_while_saving_leaves_no_key_file_or_a_whole_one(state, tmp_path, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "place" / "group.key"
    path.parent.mkdir()
    key = made()
    FileReleases.of_this_user().begin(key.key_id)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(InputError, match="No space left on device"):
        key.save(path)
    assert list(path.parent.iterdir()) == []


def test_the_key_is_on_disk_before_its_file_appears(state, tmp_path, monkeypatch):
    path, seen = tmp_path / "group.key", []
    key = made()
    sync = os.fsync

    def watch(descriptor):
        seen.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))
        sync(descriptor)

    FileReleases.of_this_user().begin(key.key_id)
    monkeypatch.setattr(os, "fsync", watch)
    key.save(path)
    assert seen == [(False, False), (True, True)], "the file without its name, then the folder with it"


def test_nothing_is_written_over(state, tmp_path):
    path = tmp_path / "group.key"
    path.write_text("something dear")
    for thing in (made(), made().handle):
        with pytest.raises(InputError, match="never overwritten"):
            thing.save(path)
    assert path.read_text() == "something dear"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.parametrize("place", ["/proc/nowhere", "file/below"])
def test_state_that_cannot_be_written_is_one_line_with_the_remedy(spent, tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / place))
    for call in (lambda: GroupKey.load(spent), lambda: made().save(tmp_path / "other.key")):
        with pytest.raises(InputError, match="set XDG_STATE_HOME") as caught:
            call()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "other.key").exists()


def test_a_read_only_mount_is_one_line_with_the_remedy(spent, monkeypatch):
    """Whoever may do anything is stopped by a mount and not by a mode, so the mount is played."""
    key, opened = GroupKey.load(spent), os.open

    def read_only(path, flags, *rest, **named):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EROFS, "Read-only file system", os.fspath(path))
        return opened(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(InputError, match="Read-only file system: nothing is released that cannot be counted"):
        claim(key, BUDGET)


def test_a_place_for_the_key_that_cannot_be_written_is_one_line(state):
    with pytest.raises(InputError, match=r"/proc/nowhere/group\.key cannot be written"):
        made().save(Path("/proc/nowhere/group.key"))


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(InputError, match="set XDG_STATE_HOME"):
        made().save(tmp_path / "group.key")


def test_participants_of_one_user_share_a_count_of_one_release(state, tmp_path):
    """Two of them on one machine release one aggregate: the same bytes, counted once."""
    key = made()
    for name in ("one", "two"):
        key.save(tmp_path / name)
        GroupKey.load(tmp_path / name).releases.claim(key.key_id, BUDGET, bytes(32), b"a" * 32)
    assert FileReleases.of_this_user().count(key.key_id) == 1


def test_what_is_only_remembered_costs_no_budget_and_still_stands_against_another_aggregate():
    count = MemoryReleases()
    for number in range(5):
        count.claim(b"k" * 16, 1, bytes([number]) * 32, b"a" * 32, carries=False)
    with pytest.raises(ProtocolViolation, match="another aggregate"):
        count.claim(b"k" * 16, 1, bytes(32), b"b" * 32)
    count.claim(b"k" * 16, 1, bytes(32), b"a" * 32)
    with pytest.raises(BudgetSpent):
        count.claim(b"k" * 16, 1, bytes([1]) * 32, b"a" * 32)
