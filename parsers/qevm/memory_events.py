"""What decides which contents a page has at the end, in stream order: records, discards, losses, channels.

Each event has a *position*: the number of page runs that stand before it in the main stream.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qevm.bodies.ram import RamBody
from qevm.constants import Command
from qevm.index import SectionIndex
from qevm.section import SectionKind
from qevm.source import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qevm.bodies.multifd import Channel, Packet

UNSENT, DISCARDED, LOST = -1, -2, -3
CHANNEL = -16
"""Sources of pages that are no page runs; CHANNEL and below count the pages of channels downwards."""

_SMALLEST_RECORD = 9
_COMMAND_HEADER = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """From ``position`` in section ``row`` on, bytes ``start`` to ``end`` of block number ``block`` are
    ``what``: DISCARDED or LOST."""

    position: int
    row: int
    block: int
    start: int
    end: int
    what: int


@dataclass(frozen=True, slots=True)
class ChannelPacket:
    """A packet of a channel, at its place in the main stream.

    ``first`` is the number of its first page among the pages of all channels.
    """

    position: int
    channel: Channel
    packet: Packet
    block: int
    first: int


@dataclass(slots=True)
class _BlockRuns:
    numbers: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


@dataclass(slots=True)
class Events:
    """The events of one RAM chain.  ``ended``: the stream has its EOF."""

    body: RamBody
    ended: bool = False
    marks: list[Mark] = field(default_factory=list)
    packets: list[ChannelPacket] = field(default_factory=list)
    unknown_blocks: set[bytes] = field(default_factory=set)
    _firsts: list[int] = field(default_factory=list)
    _with_records: set[int] | None = None
    _kept: tuple[int, _BlockRuns] | None = None

    @classmethod
    def of(
        cls, body: RamBody, index: SectionIndex, rows: Sequence[int], channels: Sequence[Channel] = ()
    ) -> Events:
        """The events of the RAM chain whose sections are ``rows`` of ``index``."""
        events = cls(body)
        kinds = index.kinds[: len(index)].tobytes()
        events.ended = bytes((SectionKind.EOF,)) in kinds
        row = kinds.find(bytes((SectionKind.COMMAND,)))
        while row >= 0:
            events.marks.extend(_discards(body, index, row, body.facts.source))
            row = kinds.find(bytes((SectionKind.COMMAND,)), row + 1)
        events.marks.extend(_losses(body))
        events.marks.sort(key=lambda mark: (mark.position, mark.row))
        events._add_channels(channels, rows)
        return events

    def _add_channels(self, channels: Sequence[Channel], rows: Sequence[int]) -> None:
        """Put the packets of all channels in order and at their places in the main stream.

        A channel and the main stream synchronise: the n-th SYNC packet of each channel belongs to the
        n-th MULTIFD_FLUSH record, or before QEMU 8.1 to the n-th EOS.
        """
        body = self.body
        syncs = list(body.flush_runs) or [body.runs.runs_until(row) for row in rows]
        numbers = {block.name: block.number for block in body.blocks}
        found = []
        for channel in channels:
            for packet in channel.packets:
                block = numbers.get(packet.block)
                if block is None:
                    self.unknown_blocks.add(packet.block)
                    continue
                position = syncs[packet.epoch] if packet.epoch < len(syncs) else len(body.runs)
                found.append(((packet.epoch, packet.number), position, channel, packet, block))
        found.sort(key=lambda item: item[0])
        first = 0
        for _, position, channel, packet, block in found:
            self.packets.append(ChannelPacket(position, channel, packet, block, first))
            self._firsts.append(first)
            first += packet.normal + packet.zero

    def channel_place(self, number: int) -> tuple[Channel, Packet, int] | None:
        """Channel, packet and slot of channel page ``number``; None when it is a zero page."""
        item = self.packets[bisect_right(self._firsts, number) - 1]
        slot = number - item.first
        return (item.channel, item.packet, slot) if slot < item.packet.normal else None

    def has_records(self, block: int) -> bool:
        """True when the stream or a channel holds any page of block number ``block``."""
        if self._with_records is None:
            self._with_records = set(self.body.runs.blocks) | {item.block for item in self.packets}
        return block in self._with_records

    def highest_page(self, block: int) -> int:
        """The highest page number of block number ``block`` that any event touches, -1 for none."""
        size = self.body.page_size
        highest = int(self._runs_of(block).ends.max(initial=0)) - 1
        for mark in self.marks:
            if mark.block == block:
                highest = max(highest, (mark.end - 1) // size)
        for item in self.packets:
            if item.block == block:
                packet = item.packet
                pages = item.channel.addresses[packet.pages : packet.pages + packet.normal + packet.zero]
                highest = max(highest, max(pages) // size)
        return highest

    def lost_between(self, block: int, address: int, after: int, upto: int) -> bool:
        """True when damage may have hidden a record of a page between runs ``after`` and ``upto``."""
        return any(
            mark.what == LOST
            and mark.block == block
            and mark.start <= address < mark.end
            and after < mark.position <= upto
            for mark in self.marks
        )

    def last_sources(
        self, block: int, first: int, count: int, until: int, at_row: int | None
    ) -> NDArray[np.int64]:
        """For ``count`` pages from page number ``first`` of ``block``: what decided each page last.

        A run number, or UNSENT, DISCARDED, LOST, or CHANNEL minus the number of a channel page.
        Runs from ``until`` on and what happened behind section ``at_row`` are left out.
        """
        import numpy as np

        size = self.body.page_size
        last = np.full(count, UNSENT, np.int64)
        runs = self._runs_of(block)
        chosen = np.flatnonzero((runs.starts < first + count) & (runs.ends > first) & (runs.numbers < until))
        numbers = runs.numbers[chosen]
        starts = np.maximum(runs.starts[chosen] - first, 0)
        ends = np.minimum(runs.ends[chosen] - first, count)
        painted = 0
        for event in self._others(block, until, at_row):
            upto = int(np.searchsorted(numbers, event.position))
            _paint(last, numbers[painted:upto], starts[painted:upto], ends[painted:upto])
            painted = max(painted, upto)
            if isinstance(event, Mark):
                last[max(event.start // size - first, 0) : max(-(-event.end // size) - first, 0)] = event.what
            else:
                packet = event.packet
                pages = np.array(
                    event.channel.addresses[packet.pages : packet.pages + packet.normal + packet.zero], "u8"
                )
                places = (pages // np.uint64(size)).astype(np.int64) - first
                inside = (places >= 0) & (places < count)
                last[places[inside]] = (CHANNEL - event.first - np.arange(len(places)))[inside]
        _paint(last, numbers[painted:], starts[painted:], ends[painted:])
        return last

    def _others(self, block: int, until: int, at_row: int | None) -> Iterator[Mark | ChannelPacket]:
        events: list[Mark | ChannelPacket] = []
        events += (m for m in self.marks if m.block == block and (at_row is None or m.row <= at_row))
        events += (p for p in self.packets if p.block == block and (at_row is None or p.position < until))
        events.sort(key=lambda event: event.position)
        yield from events

    def _runs_of(self, block: int) -> _BlockRuns:
        """The runs of one block, in pages.  The last block that was asked for is kept."""
        import numpy as np

        if self._kept is None or self._kept[0] != block:
            runs = self.body.runs
            count = len(runs)
            numbers = np.flatnonzero(np.array(runs.blocks[:count], "u4") == block)
            starts = np.array(runs.addresses[:count], "u8")[numbers].astype(np.int64) // runs.page_size
            ends = starts + np.array(runs.counts[:count], "u8")[numbers].astype(np.int64)
            self._kept = (block, _BlockRuns(numbers, starts, ends))
        return self._kept[1]


def _paint(
    last: NDArray[np.int64], numbers: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> None:
    for number, start, end in zip(numbers.tolist(), starts.tolist(), ends.tolist(), strict=True):
        last[start:end] = number


def _discards(body: RamBody, index: SectionIndex, row: int, source: Source) -> Iterator[Mark]:
    """The ranges of a POSTCOPY_RAM_DISCARD command: stale until they are sent again (§9.3)."""
    start = index.offsets[row]
    data = source.read(start, min(index.ends[row] - start, _COMMAND_HEADER + 0xFFFF))
    if int.from_bytes(data[1:3], "big") != Command.POSTCOPY_RAM_DISCARD or len(data) < 8:
        return
    payload = data[_COMMAND_HEADER:]
    name = payload[2 : 2 + payload[1]]
    block = next((block for block in body.blocks if block.name == name), None)
    if block is None:
        return
    position = body.runs.runs_until(row)
    for at in range(3 + len(name), len(payload) - 15, 16):
        begin = int.from_bytes(payload[at : at + 8], "big")
        length = int.from_bytes(payload[at + 8 : at + 16], "big")
        end = min(begin + length, block.limit)
        if begin < end:
            yield Mark(position, row, block.number, begin, end, DISCARDED)


def _losses(body: RamBody) -> Iterator[Mark]:
    """The pages that a damaged place jumps over: between the records before and behind it."""
    runs = body.runs
    for number in range(len(body.gaps)):
        gap = body.gaps[number]
        if gap.end is None or not 0 < gap.run < len(runs):
            continue
        before, behind = gap.run - 1, gap.run
        if runs.blocks[before] != runs.blocks[behind]:
            continue
        start = runs.addresses[before] + runs.counts[before] * runs.page_size
        end = runs.addresses[behind]
        if 0 < (end - start) // runs.page_size <= (gap.end - gap.start) // _SMALLEST_RECORD:
            yield Mark(gap.run, gap.row, runs.blocks[behind], start, end, LOST)
    if body.cut_page is not None:
        block, address = body.cut_page
        yield Mark(len(runs), 0, block, address, address + runs.page_size, LOST)
