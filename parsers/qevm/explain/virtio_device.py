"""The device's own part of the ``virtio`` blob, between queues and subsections (device-facts §3, part 4).

What a device writes there is its own affair; what this module does not know stays raw bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from qevm.explain import rules as r
from qevm.explain.rules import Rule
from qevm.explain.window import Window
from qevm.field import Field

ELEMENT = 49168
"""sizeof(VirtQueueElementOld) on a 64-bit host: index, out_num, in_num, four arrays of 1024."""


class _Short(Exception):
    """The bytes end before the layout does."""


class _Cursor:
    """Cuts fields one behind the other, big-endian."""

    def __init__(self, w: Window, at: int, end: int) -> None:
        self.w = w
        self.at = at
        self.end = end
        self.fields: list[Field] = []

    def _claim(self, size: int) -> int:
        if size < 0 or self.at + size > self.end:
            raise _Short
        at = self.at
        self.at += size
        return at

    def number(self, name: str, size: int, *rules: Rule) -> int:
        """A number; its value."""
        at = self._claim(size)
        self.fields.append(self.w.number(name, at, size, *rules))
        return self.w.get(at, size)

    def raw(self, name: str, size: int, *rules: Rule) -> None:
        """Bytes; nothing when there are none."""
        at = self._claim(size)
        if size:
            self.fields.append(self.w.raw(name, at, size, *rules))


def part(w: Window, at: int, size: int, kind: str, features: int) -> Field:
    """The device's own part as a field with as many children as its layout is known."""
    cursor = _Cursor(w, at, at + size)
    meaning = ""
    cut = _PARTS.get(kind)
    if cut is not None:
        try:
            meaning = cut(cursor, features)
        except _Short:
            meaning = "shorter than its layout"
    if not cursor.fields:
        return w.raw("device state", at, size, meaning=f"{kind or 'device'} state that no layout explains")
    if cursor.at < at + size:
        cursor.raw("rest", at + size - cursor.at)
    return w.group("device state", at, size, cursor.fields, meaning)


def _net(c: _Cursor, features: int) -> str:
    """virtio-net, version 11 (hw/net/virtio-net.c, vmstate_virtio_net_device)."""
    c.raw("mac", 6, r.mac_address)
    c.number("vqs.tx_waiting", 4)
    c.number("mergeable_rx_bufs", 4)
    c.number("status", 2)
    c.number("promisc", 1, r.yes_no("promiscuous"))
    c.number("allmulti", 1)
    in_use = c.number("mac_table.in_use", 4, r.say("addresses in the receive filter"))
    c.raw("mac_table.macs", 6 * min(in_use, 1 << 16))
    c.raw("vlans", 512, _vlans)
    c.number("has_vnet_hdr", 4)
    for name in (
        "mac_table.multi_overflow", "mac_table.uni_overflow", "alluni", "nomulti", "nouni", "nobcast",
        "has_ufo",
    ):  # fmt: skip
        c.number(name, 1)
    # With one queue pair these two are left out; with more they precede the other tx_waiting words.
    left = c.end - c.at
    if left > 8:
        pairs = c.w.get(c.at, 2)
        if 1 < pairs <= 512:
            c.number("max_queue_pairs", 2)
            current = c.number("curr_queue_pairs", 2)
            for i in range(1, min(current, pairs)):
                c.number(f"vqs[{i}].tx_waiting", 4)
    if c.end - c.at >= 8:
        c.number("curr_guest_offloads", 8)
    return f"{in_use} in the receive filter" if in_use else "receive filter empty"


def _vlans(item: Field, _: object) -> None:
    data = r.raw_bytes(item)
    if data.count(0xFF) == len(data):
        r.add_meaning(item, "all 4096 VLANs accepted")
    else:
        words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
        numbers = r.bit_numbers(words)
        r.add_meaning(item, f"VLANs {r.listed(numbers)}" if numbers else "no VLAN accepted")


def _requests(c: _Cursor, features: int) -> str:
    """virtio-blk: (01 [be32 queue] element)* 00 (hw/block/virtio-blk.c)."""
    multi = bool(features >> 12 & 1)
    count = 0
    while True:
        more = c.number("more", 1, r.words({0: "no more requests", 1: "a request follows"}))
        if more != 1:
            break
        if multi:
            c.number("queue", 4)
        _element(c, count, features)
        count += 1
    return f"{r.plural(count, 'request')} in flight"


def _element(c: _Cursor, number: int, features: int) -> None:
    """A popped queue element: a C struct in the byte order of the host (in practice little-endian)."""
    start = c.at
    c.raw(f"element {number}", ELEMENT)
    item = c.fields[-1]
    host = Window(c.w.data, c.w.base, c.w.context, "little")
    out, into = host.get(start + 4, 4), host.get(start + 8, 4)
    children = [
        host.number("index", start, 4),
        host.number("out_num", start + 4, 4),
        host.number("in_num", start + 8, 4),
        host.number("padding", start + 12, 4),
    ]
    at = start + 16
    for name, size in (("in_addr", 8), ("out_addr", 8), ("in_sg", 16), ("out_sg", 16)):
        children.append(host.raw(name, at, size * 1024))
        at += size * 1024
    item.children = children
    item.meaning = f"head {host.get(start, 4)}, {out} out and {into} in segments; host-endian"
    if features >> 34 & 1:
        c.number("ndescs", 4)


def _console(c: _Cursor, features: int) -> str:
    """virtio-serial (hw/char/virtio-serial-bus.c)."""
    c.number("cols", 2)
    c.number("rows", 2)
    most = c.number("max_nr_ports", 4)
    for i in range(min((most + 31) // 32, 64)):
        c.number(f"ports_map[{i}]", 4)
    active = c.number("nr_active_ports", 4)
    if active > 512:
        raise _Short
    for i in range(active):
        c.number(f"port {i} id", 4)
        c.number(f"port {i} guest_connected", 1)
        c.number(f"port {i} host_connected", 1)
        if c.number(f"port {i} elem_popped", 4):
            c.number(f"port {i} iov_idx", 4)
            c.number(f"port {i} iov_offset", 8)
            _element(c, i, features)
    return r.plural(active, "active port")


def _balloon(c: _Cursor, _: int) -> str:
    pages = c.number("num_pages", 4, r.say("pages the host asked for"))
    actual = c.number("actual", 4, r.say("pages the guest gave"))
    return f"{r.size_text(4096 * actual)} given of {r.size_text(4096 * pages)} asked"


_PARTS: dict[str, Callable[[_Cursor, int], str]] = {
    "net": _net,
    "blk": _requests,
    "console": _console,
    "balloon": _balloon,
}
