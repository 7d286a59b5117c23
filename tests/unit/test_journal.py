"""The journal: what was appended comes back, whatever happens to its tail; anything else is refused by name."""

import os
import stat

import pytest

from secagg_protocols import InputError, LocalError, StateError
from secagg_protocols.core.journal import Journal

NAME, ENTRIES = b"n" * 32, [b"first", b"", b"third"]


def opened(path, name=NAME):
    """Open a journal and read it; return it and what was in it."""
    journal = Journal(path, name)
    try:
        return journal, list(journal.entries())
    except InputError:
        journal.close()
        raise


@pytest.fixture
def written(tmp_path):
    """Return a journal of three entries, closed."""
    path = tmp_path / "journal"
    journal, found = opened(path)
    assert found == []
    for entry in ENTRIES:
        journal.append(entry)
    journal.close()
    return path


def test_what_was_appended_comes_back_and_the_journal_goes_on(written):
    journal, found = opened(written)
    assert found == ENTRIES
    journal.append(b"fourth")
    journal.close()
    journal, found = opened(written)
    assert found == [*ENTRIES, b"fourth"]
    journal.close()


def test_a_journal_is_its_owners_to_read(written):
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_an_entry_that_was_being_written_is_cut_off_and_the_journal_goes_on(written):
    data = written.read_bytes()
    ends = [len(data)]
    for entry in reversed(ENTRIES):
        ends.insert(0, ends[0] - len(entry) - 48)
    for cut in range(len(data)):
        written.write_bytes(data[:cut])
        journal, found = opened(written)
        whole = max(0, sum(end <= cut for end in ends) - 1)
        assert found == ENTRIES[:whole]
        journal.append(b"again")
        journal.close()
        journal, found = opened(written)
        assert found == [*ENTRIES[:whole], b"again"]
        journal.close()


def test_any_changed_byte_is_refused(written):
    data = written.read_bytes()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x40
        written.write_bytes(damaged)
        with pytest.raises(InputError, match="journal"):
            opened(written)
    written.write_bytes(data)
    opened(written)[0].close()


def test_entries_taken_out_or_put_in_another_order_are_refused(written):
    data = written.read_bytes()
    start = len(data) - sum(len(entry) + 48 for entry in ENTRIES)
    first, second = data[start : start + 53], data[start + 53 : start + 101]
    rest = data[start + 101 :]
    changed = {second + rest: 1, first + rest: 2, second + first + rest: 1, first + first + second + rest: 2}
    for entries, number in changed.items():
        written.write_bytes(data[:start] + entries)
        with pytest.raises(InputError, match=f"is damaged at entry {number}:.*another number"):
            opened(written)


def test_a_foreign_journal_and_one_of_another_version_are_refused(written):
    with pytest.raises(InputError, match="another round, scheme or roster"):
        opened(written, b"m" * 32)
    data = written.read_bytes()
    written.write_bytes(b"secagg journal 0" + data[16:])
    with pytest.raises(InputError, match="another version"):
        opened(written)
    written.write_bytes(b"notes of last week")
    with pytest.raises(InputError, match="no journal"):
        opened(written)


def test_a_journal_is_open_once(written):
    journal, _ = opened(written)
    with pytest.raises(LocalError, match="in use"):
        Journal(written, NAME)
    journal.close()
    opened(written)[0].close()


def test_after_a_write_that_failed_a_journal_takes_no_more(written, monkeypatch):
    """What is on disk is then not known: an entry after half an entry would damage the file."""
    journal, _ = opened(written)
    real = os.write

    def full(descriptor, data):
        real(descriptor, bytes(data)[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        journal.append(b"fourth")
    monkeypatch.undo()
    with pytest.raises(StateError, match="open it again"):
        journal.append(b"fifth")
    journal, found = opened(written)
    assert found == ENTRIES
    journal.close()
