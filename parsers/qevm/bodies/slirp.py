"""``slirp``: the user-mode network stack, a FULL section (stream-format §8.7).

The description calls it one opaque buffer; the layout here is libslirp's own (state.c, version 4; QEMU
wrote the same one before libslirp was split off).  Only connections of ``guestfwd`` devices are in it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from qevm.bodies.protocol import BadBody
from qevm.bodies.records import FieldReader, read_fields
from qevm.cursor import Cursor
from qevm.facts import StreamFacts
from qevm.field import Field, Role
from qevm.problems import Problem
from qevm.section import Section, SectionKind

SOCKET_FOLLOWS = 42
END_OF_SOCKETS = 0
LEASES = 16
_FAMILY_INET = 2
_TCP_STATES = (
    "CLOSED", "LISTEN", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "CLOSING",
    "LAST_ACK", "FIN_WAIT_2", "TIME_WAIT",
)  # fmt: skip

# The TCP control block: name and size in bytes; negative sizes are signed.
_TCP = (
    ("t_state", -2), ("t_timer[0]", -2), ("t_timer[1]", -2), ("t_timer[2]", -2), ("t_timer[3]", -2),
    ("t_rxtshift", -2), ("t_rxtcur", -2), ("t_dupacks", -2), ("t_maxseg", 2), ("t_force", 1),
    ("t_flags", 2), ("snd_una", 4), ("snd_nxt", 4), ("snd_up", 4), ("snd_wl1", 4), ("snd_wl2", 4),
    ("iss", 4), ("snd_wnd", 4), ("rcv_wnd", 4), ("rcv_nxt", 4), ("rcv_up", 4), ("irs", 4),
    ("rcv_adv", 4), ("snd_max", 4), ("snd_cwnd", 4), ("snd_ssthresh", 4), ("t_idle", -2), ("t_rtt", -2),
    ("t_rtseq", 4), ("t_srtt", -2), ("t_rttvar", -2), ("t_rttmin", 2), ("max_sndwnd", 4),
    ("t_oobflags", 1), ("t_iobc", 1), ("t_softerror", -2), ("snd_scale", 1), ("rcv_scale", 1),
    ("request_r_scale", 1), ("requested_s_scale", 1), ("ts_recent", 4), ("ts_recent_age", 4),
    ("last_ack_sent", 4),
)  # fmt: skip


class SlirpBody:
    """A chain of sockets (each announced by ``2a``), ``00``, then the stack's own fields.

    Version 4 of the layout, which QEMU has written since 2.10.
    """

    def __init__(self, facts: StreamFacts) -> None:
        self.facts = facts
        self.problems: list[Problem] = []

    def scan(self, cursor: Cursor, kind: SectionKind, row: int) -> Iterator[None]:
        """See Body."""
        reader = FieldReader(cursor.source, cursor.position, cursor.limit)
        try:
            for step, _ in enumerate(self._read(reader)):
                # Only the walk matters here, not what was read on the way.
                reader.fields.clear()
                if not step & 0xFF:
                    yield
        finally:
            cursor.position = reader.position

    def fields(self, section: Section) -> list[Field]:
        """See Body."""

        def read(reader: FieldReader) -> None:
            for _ in self._read(reader):
                pass

        return read_fields(self.facts.source, section.body, section.body_end, read)

    def summary(self, section: Section) -> str:
        """See Body."""
        first = self.facts.source.read(section.body, 1)
        return "idle" if first == b"\0" else "guestfwd connections"

    def chain_fields(self) -> list[Field]:
        """See Body."""
        return []

    @staticmethod
    def _read(reader: FieldReader) -> Iterator[None]:
        number = 0
        while True:
            at = reader.position
            tag = reader.number("tag", 1, _tag_meaning, Role.HEADER)
            if tag == END_OF_SOCKETS:
                break
            if tag != SOCKET_FOLLOWS:
                raise BadBody(at, "slirp state with an unknown tag", "2a socket or 00 end", f"{tag:02x}")
            _group(reader, f"socket[{number}]", _socket)
            number += 1
            yield
        reader.number("ip_id", 2, "identification of the next IP packet")
        for lease in range(LEASES):
            _group(reader, f"bootp_clients[{lease}]", _lease)
        yield


def _socket(reader: FieldReader) -> str:
    reader.number("so_urgc", 4)
    _group(reader, "fhost", _address)
    _group(reader, "lhost", _address)
    reader.number("so_iptos", 1)
    reader.number("so_emu", 1)
    reader.number("so_type", 1)
    reader.number("so_state", 4, signed=True)
    _group(reader, "so_rcv", _buffer)
    _group(reader, "so_snd", _buffer)
    _group(reader, "so_tcpcb", _tcp)
    return "connection of a guestfwd device"


def _tag_meaning(tag: int) -> str:
    return "a socket follows" if tag == SOCKET_FOLLOWS else "end of the sockets" if not tag else ""


def _group(reader: FieldReader, name: str, read: Callable[[FieldReader], str]) -> None:
    """Read a struct: what ``read`` notes becomes its children, what it returns its meaning."""
    at, outer = reader.position, reader.fields
    reader.fields = []
    meaning = ""
    try:
        meaning = read(reader)
    finally:
        inner, reader.fields = reader.fields, outer
        if inner:
            outer.append(Field(name, at, inner[-1].end - at, "struct", None, meaning, inner))
            reader.cursor.position = inner[-1].end


def _ipv4(value: int) -> str:
    # The source writes its s_addr as an integer; on a little-endian host its bytes come reversed.
    return str(ipaddress.IPv4Address(value.to_bytes(4, "little")))


def _address(reader: FieldReader) -> str:
    at = reader.position
    family = reader.number("ss_family", 2, lambda value: "IPv4" if value == _FAMILY_INET else "")
    if family != _FAMILY_INET:
        raise BadBody(at, "slirp socket of an address family that cannot be migrated", "2", str(family))
    address = reader.number("sin_addr", 4, _ipv4, Role.ADDRESS)
    port = reader.number("sin_port", 2, lambda value: str(int.from_bytes(value.to_bytes(2, "little"), "big")))
    return f"{_ipv4(address)}:{int.from_bytes(port.to_bytes(2, 'little'), 'big')}"


def _buffer(reader: FieldReader) -> str:
    used = reader.number("sb_cc", 4, "bytes in use")
    at = reader.position
    size = reader.number("sb_datalen", 4, "bytes of buffer", Role.LENGTH)
    reader.number("woff", 4, "write offset")
    reader.number("roff", 4, "read offset")
    if size > reader.cursor.left:
        raise BadBody(
            at, "slirp socket buffer beyond the data", f"at most {reader.cursor.left:,}", f"{size:,}"
        )
    reader.raw("sb_data", size)
    return f"{used:,} of {size:,} bytes in use"


def _tcp(reader: FieldReader) -> str:
    state = ""
    for name, size in _TCP:
        value = reader.number(name, abs(size), signed=size < 0)
        if name == "t_state" and 0 <= value < len(_TCP_STATES):
            state = reader.fields[-1].meaning = _TCP_STATES[value]
    return state


def _lease(reader: FieldReader) -> str:
    allocated = reader.number("allocated", 2)
    reader.raw("macaddr", 6)
    at = reader.fields[-1].offset
    mac = reader.cursor.source.read(at, 6).hex(":")
    reader.fields[-1].meaning = mac
    return f"10.0.2.x lease of {mac}" if allocated else "free"
