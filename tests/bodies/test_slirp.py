from __future__ import annotations

import struct

import pytest
from bodyhelp import Chain, assert_tiles, facts, survives
from hypothesis import given
from hypothesis import strategies as st

from qevm.bodies.protocol import BadBody
from qevm.bodies.slirp import SlirpBody
from qevm.cursor import Cursor
from qevm.section import SectionKind
from qevm.source import BytesSource

FULL = SectionKind.FULL
LEASES = struct.pack(">H6s", 1, bytes.fromhex("525400123456")) + bytes(15 * 8)
IDLE = b"\0" + b"\x12\x34" + LEASES


def address(ip: str, port: int) -> bytes:
    # As a little-endian host writes its sockaddr_in.
    octets = bytes(map(int, ip.split(".")))
    return b"\0\2" + octets[::-1] + port.to_bytes(2, "little")


def buffer(used: int, data: bytes) -> bytes:
    return struct.pack(">IIII", used, len(data), used, 0) + data


def connection(received: bytes = bytes(64), sent: bytes = bytes(32)) -> bytes:
    tcp = b"\0\4" + bytes(119 - 2)
    return (
        b"\x2a\0\0\0\0" + address("10.0.2.100", 80) + address("10.0.2.15", 4242) + b"\0\0\1" + b"\0\0\0\x22"
        + buffer(5, received) + buffer(0, sent) + tcp
    )  # fmt: skip


def test_an_idle_stack_is_131_bytes() -> None:
    assert len(IDLE) == 131
    chain = Chain(SlirpBody, (FULL, IDLE))
    tag, ip_id, *leases = chain.fields(0)
    assert tag.meaning == "end of the sockets"
    assert ip_id.value == 0x1234
    assert len(leases) == 16
    assert leases[0].meaning == "10.0.2.x lease of 52:54:00:12:34:56"
    assert leases[1].meaning == "free"
    assert chain.body.summary(chain.sections[0]) == "idle"


def test_a_connection_of_a_guestfwd_device() -> None:
    chain = Chain(SlirpBody, (FULL, connection() + IDLE))
    fields = chain.fields(0)
    socket = fields[1]
    assert socket.child("fhost").meaning == "10.0.2.100:80"
    assert socket.child("lhost").meaning == "10.0.2.15:4242"
    assert socket.child("so_state").value == 0x22
    assert socket.child("so_rcv").meaning == "5 of 64 bytes in use"
    assert socket.child("so_tcpcb").meaning == "ESTABLISHED"
    assert chain.body.summary(chain.sections[0]) == "guestfwd connections"


def test_a_buffer_beyond_the_data_is_refused() -> None:
    data = bytearray(connection() + IDLE)
    at = 1 + 4 + 8 + 8 + 3 + 4 + 4
    data[at : at + 4] = b"\x7f\xff\xff\xff"
    with pytest.raises(BadBody) as error:
        list(SlirpBody(facts(bytes(data))).scan(Cursor(BytesSource(bytes(data))), FULL, 0))
    assert error.value.offset == at


@given(st.lists(st.tuples(st.binary(max_size=80), st.binary(max_size=80)), max_size=3))
def test_any_valid_body_is_tiled(buffers: list[tuple[bytes, bytes]]) -> None:
    data = b"".join(connection(*pair) for pair in buffers) + IDLE
    assert_tiles(Chain(SlirpBody, (FULL, data)).fields(0), 0, len(data))


@given(st.data())
def test_any_damage_is_survived(data: st.DataObject) -> None:
    raw = bytearray(connection() + IDLE)
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    survives(SlirpBody, FULL, bytes(raw[: data.draw(st.integers(0, len(raw)))]))
