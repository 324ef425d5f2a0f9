"""The own LZO1X reader against the lzop program, and against hostile blocks."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qevm.containers import lzo
from qevm.containers.decoders import MAKERS

needs_lzop = pytest.mark.skipif(shutil.which("lzop") is None, reason="lzop is not installed")

pieces = st.one_of(
    st.binary(max_size=400),
    st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 900)).map(lambda p: p[0] * p[1]),
    st.integers(1, 70000).map(bytes),
)


@needs_lzop
@given(parts=st.lists(pieces, min_size=1, max_size=8), level=st.sampled_from("139"))
@example(parts=[b"x"], level="1")
@example(parts=[bytes(i % 251 for i in range(60000)), bytes(50000)], level="9")
@settings(max_examples=60, deadline=None)
def test_what_lzop_packs_is_unpacked(parts: list[bytes], level: str) -> None:
    # Far copies of the first parts exercise the long distances (up to 48 KiB).
    data = b"".join(parts + parts[:2])
    packed = subprocess.run(["lzop", f"-{level}", "-c"], input=data, capture_output=True, check=True).stdout
    decoder = MAKERS["lzop"]()
    assert b"".join(decoder.feed(packed)) == data
    assert not decoder.in_the_middle


@given(data=st.binary(max_size=300), size=st.integers(0, 5000))
@settings(max_examples=400, deadline=None)
def test_any_bytes_give_a_bounded_result_or_an_error(data: bytes, size: int) -> None:
    try:
        out = lzo.decompress(data, size)
    except lzo.LzoError:
        return
    assert len(out) == size


@pytest.mark.parametrize(
    ("block", "size", "expected"),
    [
        # The end of a stream alone, and five literals before it (Documentation/lzo.rst of Linux).
        (bytes([17, 0, 0]), 0, b""),
        (bytes([17 + 5]) + b"hello" + bytes([17, 0, 0]), 5, b"hello"),
        # Literals, then a match of 4 at distance 2 (two-byte form 010LDDSS: length 3 + 1), then the end.
        (bytes([17 + 4]) + b"abxy" + bytes([0x64, 0]) + bytes([17, 0, 0]), 8, b"abxyxyxy"),
    ],
)
def test_hand_made_blocks(block: bytes, size: int, expected: bytes) -> None:
    assert lzo.decompress(block, size) == expected


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (b"", "ends inside an instruction"),
        (bytes([17 + 5]) + b"he", "ends inside a literal run"),
        (bytes([17 + 1]) + b"a" + bytes([0x40 | 0x1C, 0xFF, 17, 0, 0]), "before the block"),
        (bytes([17, 0, 0, 1]), "behind the end of the block"),
        (bytes([17 + 4]) + b"abcd" + bytes([0x20]) + bytes(2000) + b"\x01", "ends inside|more than"),
    ],
)
def test_damaged_blocks_are_refused(block: bytes, words: str) -> None:
    with pytest.raises(lzo.LzoError, match=words):
        lzo.decompress(block, 100)
