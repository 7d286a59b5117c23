"""Domain separation: no two different tuples of fields give the same bytes."""

from itertools import product

import pytest

from secagg_protocols.primitives.domain import MAX_ID, VERSION, Use, digest, frame, id_field, ids_field, separated


def parse(data):
    """Return the fields of a frame: what makes it unambiguous."""
    fields = []
    while data:
        size = int.from_bytes(data[:4], "big")
        assert len(data) >= 4 + size
        fields.append(data[4 : 4 + size])
        data = data[4 + size :]
    return fields


def test_frames_parse_in_one_way_only():
    atoms = [b"", b"\0", b"a", b"ab", b"\0\0\0\1", b"\0\0\0\0"]
    seen = {}
    for count in range(4):
        for fields in product(atoms, repeat=count):
            data = frame(*fields)
            assert parse(data) == list(fields)
            assert seen.setdefault(data, fields) == fields


def test_the_classic_collision_of_plain_concatenation_is_none_here():
    assert frame(b"ab", b"c") != frame(b"a", b"bc")
    assert frame(b"abc") != frame(b"ab", b"c")
    assert frame(b"a", b"") != frame(b"a")


def test_integers_are_eight_bytes_and_text_is_utf_8():
    assert frame(1) == b"\0\0\0\x08" + (1).to_bytes(8, "big")
    assert frame("é") == b"\0\0\0\x02\xc3\xa9"
    assert frame(2**64 - 1) == b"\0\0\0\x08" + b"\xff" * 8
    for value in (-1, 2**64):
        with pytest.raises(OverflowError):
            frame(value)


def test_no_two_uses_share_a_prefix():
    values = [use.value for use in Use]
    assert len(set(values)) == len(values)
    for one, other in product(Use, repeat=2):
        if one is not other:
            assert not separated(one).startswith(separated(other))
            assert digest(one, b"x") != digest(other, b"x")


def test_the_version_is_bound_into_everything():
    for use in Use:
        assert separated(use).startswith(b"secagg v%d " % VERSION)


def test_ids_are_four_bytes_in_whatever_is_hashed_or_signed():
    assert id_field(1) == b"\0\0\0\x01"
    assert ids_field((1, 65536, MAX_ID)) == b"\0\0\0\x01" + b"\0\x01\0\0" + b"\xff" * 4
    assert ids_field(()) == b""
    for participant in (-1, MAX_ID + 1):
        with pytest.raises(OverflowError):
            id_field(participant)
