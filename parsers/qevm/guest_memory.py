"""Guest memory as a stream leaves it: RAM blocks rebuilt from page records, bitmaps and page channels.

The last record of a page wins (stream-format §5.4).  A page that cannot be known is never passed off as
zero: it has a state that says why, and a place in the summary.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qevm.bodies.mapped_ram import Bitmaps
from qevm.bodies.page_contents import Undecodable, page_of
from qevm.bodies.page_lookup import PageLookup
from qevm.bodies.page_runs import PageKind, PageRecord
from qevm.bodies.ram import RamBody
from qevm.bodies.ram_blocks import RamBlock, mapped_blocks
from qevm.memory_events import CHANNEL, DISCARDED, LOST, UNSENT, Events
from qevm.problems import QevmError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qevm.bodies.multifd import Channel
    from qevm.capture import Capture

SEGMENT_PAGES = 1 << 18
"""Pages that are worked out at a time: memory use does not grow with the guest."""


class PageState(enum.Enum):
    """What is known of a page."""

    DATA = "data"
    ZERO = "zero"
    UNSENT = "never sent"
    """A sound stream has no record of it: zero in the loading QEMU."""
    LATER = "sent after this section"
    LOST = "lost by damage or truncation"
    DISCARDED = "discarded by postcopy and not sent again"
    SHARED = "shared memory outside the stream (x-ignore-shared)"
    UNDECODABLE = "undecodable"
    ELSEWHERE = "on multifd channels that are not given"

    @property
    def known(self) -> bool:
        """True when the contents are certain."""
        return self in (PageState.DATA, PageState.ZERO, PageState.UNSENT)


@dataclass(frozen=True, slots=True)
class Page:
    """One guest page.  ``data`` are its bytes, None when they cannot be known; ``reason`` says why.

    ``record`` is the page record that the contents come from, where there is one.
    """

    state: PageState
    data: bytes | None
    reason: str = ""
    record: PageRecord | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """``count`` pages from page number ``first`` on that come from one place.

    ``source`` is the number of a run, or one of UNSENT, DISCARDED, LOST, or a page of the channels.
    """

    first: int
    count: int
    source: int


class NoGuestMemory(QevmError):
    """The stream has no RAM section, or nothing of it can be read."""


class GuestMemory:
    """The RAM blocks of one stream at its end, or as of section row ``at_row`` (that section included).

    ``channels`` are recorded multifd page channels.  ``complete``: the stream's RAM was read to its end.
    """

    def __init__(
        self,
        body: RamBody,
        events: Events,
        channels: Sequence[Channel] = (),
        *,
        complete: bool = True,
        at_row: int | None = None,
    ) -> None:
        self.body = body
        self.page_size = body.page_size
        self.source = body.facts.source
        self.channels = list(channels)
        self.at_row = at_row
        self.until = len(body.runs) if at_row is None else body.runs.runs_until(at_row)
        self._events = events
        self._lookup = PageLookup(body.runs)
        self._complete = complete and not len(body.gaps) and body.cut_at is None
        mapped = mapped_blocks(body.blocks)
        self.bitmaps = Bitmaps(self.source, mapped) if mapped else None
        self._segment: tuple[int, int, NDArray[np.int64]] | None = None

    @classmethod
    def of(cls, capture: Capture, channels: Sequence[Channel] = (), at_row: int | None = None) -> GuestMemory:
        """The guest memory of a walked capture.  Raises NoGuestMemory."""
        index = capture.index
        for device in index.devices:
            body = capture.body_of(index[device.sections[0]]) if device.sections else None
            if isinstance(body, RamBody):
                break
        else:
            raise NoGuestMemory(f"{capture.name}: no RAM section in this stream")
        if not body.blocks:
            raise NoGuestMemory(f"{capture.name}: no RAM block can be read in this stream")
        events = Events.of(body, index, device.sections, channels)
        complete = body.ended or events.ended
        return cls(body, events, channels, complete=complete, at_row=at_row)

    @property
    def blocks(self) -> list[RamBlock]:
        """The RAM blocks in the order of the block list, with those that only a record named behind."""
        return self.body.blocks

    def block(self, name: str) -> RamBlock | None:
        """The block of that name, or None."""
        return next((block for block in self.blocks if block.text == name), None)

    def length(self, block: RamBlock) -> int:
        """Bytes of the block; where no list said it, up to its highest page."""
        if block.length is not None:
            return block.length
        runs = self.body.runs
        ends = (
            runs.addresses[run] + runs.counts[run] * runs.page_size
            for run in range(self.until)
            if runs.blocks[run] == block.number
        )
        return max(ends, default=0)

    # ------------------------------------------------------------------ one page

    def page(self, block: RamBlock, address: int) -> Page:
        """The page that holds byte ``address`` of ``block``."""
        address -= address % self.page_size
        if block.mapped is not None:
            return self._mapped_page(block, address)
        first = address // self.page_size
        source = int(self.sources(block, first, 1)[0])
        return self.page_from(block, first, source)

    def page_from(self, block: RamBlock, page: int, source: int) -> Page:
        """Page number ``page``, whose contents come from ``source`` (see :class:`Span`)."""
        if source >= 0:
            return self._recorded_page(block, page * self.page_size)
        if source <= CHANNEL:
            return self._channel_page(CHANNEL - source)
        return Page(self.state_of(block, source), None) if source != UNSENT else self._unsent(block)

    def state_of(self, block: RamBlock, source: int) -> PageState:
        """The state of pages without contents in the stream."""
        if source == DISCARDED:
            return PageState.DISCARDED
        if source == LOST:
            return PageState.LOST
        if self.body.ignores_shared and not self._has_records(block):
            return PageState.SHARED
        if self._complete and self.body.pages_elsewhere and not self.channels:
            return PageState.ELSEWHERE
        if self.at_row is not None:
            return PageState.LATER
        return PageState.UNSENT if self._complete else PageState.LOST

    def _unsent(self, block: RamBlock) -> Page:
        state = self.state_of(block, UNSENT)
        return Page(state, bytes(self.page_size) if state.known else None)

    def _has_records(self, block: RamBlock) -> bool:
        return self._events.has_records(block.number)

    def _mapped_page(self, block: RamBlock, address: int) -> Page:
        mapped = block.mapped
        assert mapped is not None
        assert self.bitmaps is not None
        if mapped.problem:
            return Page(PageState.LOST, None, mapped.problem)
        if not self.bitmaps.is_present(mapped, address // mapped.page_size):
            return Page(PageState.ZERO, bytes(self.page_size))
        data = self.source.read(mapped.pages_at + address, mapped.page_size)
        if len(data) < mapped.page_size:
            return Page(PageState.LOST, None, "the file ends before this page")
        return Page(PageState.DATA, data)

    def _recorded_page(self, block: RamBlock, address: int) -> Page:
        records = self._lookup.records(block.number, address, self.until)
        first = len(records) - 1
        while first > 0 and records[first].kind is PageKind.XBZRLE:
            first -= 1
        data: bytes | None = None
        record = records[first]
        if first < len(records) - 1 and self._events.lost_between(
            block.number, address, record.run, records[-1].run
        ):
            reason = "XBZRLE delta whose base may be lost by damage"
            return Page(PageState.UNDECODABLE, None, reason, records[-1])
        try:
            for record in records[first:]:
                data = page_of(self.source, record, self.page_size, data)
        except Undecodable as bad:
            return Page(PageState.UNDECODABLE, None, bad.reason, record)
        zero = records[-1].kind is PageKind.ZERO
        return Page(PageState.ZERO if zero else PageState.DATA, data, "", records[-1])

    def _channel_page(self, number: int) -> Page:
        place = self._events.channel_place(number)
        if place is None:
            return Page(PageState.ZERO, bytes(self.page_size))
        channel, packet, slot = place
        at = channel.place(packet, slot)
        if at is None:
            return Page(
                PageState.UNDECODABLE, None, f"damaged {channel.method} data in {channel.source.name}"
            )
        return Page(PageState.DATA, channel.read(at, self.page_size))

    # ------------------------------------------------------------------ many pages

    def sources(self, block: RamBlock, first: int, count: int) -> NDArray[np.int64]:
        """Where the contents of pages ``first`` … of a block come from, one number a page (see Span)."""
        import numpy as np

        kept = self._segment
        segment = first // SEGMENT_PAGES
        if (first + count - 1) // SEGMENT_PAGES != segment:
            split = (segment + 1) * SEGMENT_PAGES - first
            return np.concatenate(
                (self.sources(block, first, split), self.sources(block, first + split, count - split))
            )
        if kept is None or kept[:2] != (block.number, segment):
            made = self._events.last_sources(
                block.number, segment * SEGMENT_PAGES, SEGMENT_PAGES, self.until, self.at_row
            )
            kept = self._segment = (block.number, segment, made)
        begin = first - segment * SEGMENT_PAGES
        return kept[2][begin : begin + count]

    def spans(self, block: RamBlock) -> Iterator[Span]:
        """The whole block as spans of pages that come from one place, in order.

        Not for blocks of mapped-ram, whose bitmaps say it all.
        """
        import numpy as np

        all_pages = -(-self.length(block) // self.page_size)
        pages = min(all_pages, self._events.highest_page(block.number) + 1)
        for first in range(0, pages, SEGMENT_PAGES):
            count = min(SEGMENT_PAGES, pages - first)
            sources = self.sources(block, first, count)
            edges = [0, *(np.flatnonzero(np.diff(sources)) + 1).tolist(), count]
            values = sources[edges[:-1]].tolist()
            for start, end, source in zip(edges[:-1], edges[1:], values, strict=True):
                yield Span(first + start, end - start, source)
        if pages < all_pages:
            yield Span(pages, all_pages - pages, UNSENT)
