from __future__ import annotations

from pathlib import Path

import pytest
from bodyhelp import Chain, assert_tiles, facts, opened, survives
from hypothesis import given, settings
from hypothesis import strategies as st

from qevm.bodies.block import CHUNK, BlockBody
from qevm.bodies.protocol import BadBody
from qevm.cursor import Cursor, Truncated
from qevm.section import SectionKind
from qevm.source import BytesSource

START, PART, END = SectionKind.START, SectionKind.PART, SectionKind.END
EOS = bytes.fromhex("0000000000000002")
FULL_CHUNK = bytes.fromhex("0000000000000001") + b"\x02dd" + bytes(CHUNK)
ZERO_CHUNK = bytes.fromhex("0000000000100009") + b"\x02dd"
# 100 percent, as in stream-format §8.5.
PROGRESS = bytes.fromhex("000000000000c804")


class CountingSource(BytesSource):
    read_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        data = super().read(offset, length)
        self.read_bytes += len(data)
        return data


def test_start_is_a_lone_end() -> None:
    (eos,) = Chain(BlockBody, (START, EOS)).fields(0)
    assert eos.name == "EOS"


def test_chunks_zero_chunks_and_progress() -> None:
    chain = Chain(BlockBody, (START, EOS), (PART, FULL_CHUNK + ZERO_CHUNK + PROGRESS + EOS))
    full, zero, progress, eos = chain.fields(1)
    assert full.child("drive").value == "dd"
    assert full.child("data").size == CHUNK
    assert full.meaning == "dd sector 0: 1 MiB"
    assert zero.name == "zero chunk"
    assert zero.meaning == "dd sector 2,048: 1 MiB of zeros"
    assert progress.meaning == "100 percent"
    assert eos.name == "EOS"
    assert chain.body.summary(chain.sections[1]) == "1 chunks of 1 MiB, 1 zero chunks, 100 %"


def test_drive_contents_are_not_read() -> None:
    data = FULL_CHUNK * 8 + EOS
    source = CountingSource(data)
    made = BlockBody(facts(data))
    cursor = Cursor(source)
    list(made.scan(cursor, PART, 0))
    assert cursor.position == len(data)
    assert source.read_bytes < 16_384


@pytest.mark.parametrize("word", [0x10, 0x00, 0x05, 0x06 | 101 << 9, 0x1FF])
def test_flags_that_cannot_be_are_refused(word: int) -> None:
    data = word.to_bytes(8, "big") + bytes(20)
    with pytest.raises(BadBody) as error:
        list(BlockBody(facts(data)).scan(Cursor(BytesSource(data)), PART, 0))
    assert error.value.offset == 0


def test_a_cut_chunk_is_truncated_and_still_tiled() -> None:
    data = (FULL_CHUNK + EOS)[:5000]
    with pytest.raises(Truncated):
        list(BlockBody(facts(data)).scan(Cursor(BytesSource(data)), PART, 0))
    survives(BlockBody, PART, data)


def test_a_real_drive(tmp_path: Path) -> None:
    capture = opened("block-q72", tmp_path)
    device = next(d for d in capture.index.devices if d.idstr == "block")
    made = capture.body_of(capture.index[device.sections[0]])
    assert made is not None
    chunks = 0
    for row in device.sections:
        section = capture.index[row]
        fields = made.fields(section)
        assert_tiles(fields, section.body, section.body_end)
        chunks += sum(field.name == "chunk" for field in fields)
    assert chunks == made.chain_fields()[0].value
    assert chunks > 0


@settings(max_examples=20)
@given(st.lists(st.sampled_from([FULL_CHUNK, ZERO_CHUNK, PROGRESS]), max_size=3))
def test_any_valid_body_is_tiled(parts: list[bytes]) -> None:
    data = b"".join(parts) + EOS
    assert_tiles(Chain(BlockBody, (PART, data)).fields(0), 0, len(data))


@given(st.binary(max_size=100), st.integers(0, 40))
def test_any_damage_is_survived(junk: bytes, at: int) -> None:
    data = bytearray(ZERO_CHUNK * 3 + PROGRESS + EOS)
    data[at : at + len(junk)] = junk
    survives(BlockBody, PART, bytes(data))
