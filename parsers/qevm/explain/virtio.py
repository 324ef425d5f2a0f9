"""The ``virtio`` blob: one opaque field that holds a whole virtio device (device-facts §3).

Transport part, common part, queues, the device's own part, subsections.  All big-endian unless said.
"""

from __future__ import annotations

from qevm.explain import pci, virtio_device
from qevm.explain import rules as r
from qevm.explain import virtio_tables as t
from qevm.explain.context import ExplainContext
from qevm.explain.virtio_layouts import (
    CCW,
    CCW_END,
    MMIO,
    ORB,
    QUEUE_MAX,
    SUBCHANNEL,
    SUBSECTIONS,
    SUMMARY_OFFSET,
)
from qevm.explain.virtio_parts import Layout, Queue, Subsection, find_parts, optional_length
from qevm.explain.window import Order, Window
from qevm.field import Field, LazyFields, Role
from qevm.vmdesc import Vmsd
from qevm.vmstate import VmstateDecoder


def blob(item: Field, context: ExplainContext) -> None:
    """The rule for fields of type ``virtio``."""
    data = item.value
    if not isinstance(data, bytes) or not data:
        return
    layout = find_parts(data, context)
    if layout is None:
        item.problem = item.problem or "no virtio transport explains these bytes"
        return
    builder = _Builder(data, item.offset, layout, context)
    item.children = builder.fields()
    r.add_meaning(item, builder.summary())


class _Builder:
    """Makes the Field tree of a measured blob."""

    def __init__(self, data: bytes, base: int, layout: Layout, context: ExplainContext) -> None:
        self._data = data
        self._base = base
        self._layout = layout
        self._context = context
        self._kind = t.kind_of(context.device) or t.kind_of(context.idstr)
        self._w = Window(data, base, context, "big")
        self._subs = {sub.name: sub for sub in layout.subsections}
        full = self._subs.get("virtio/64bit_features")
        self._features = self._w.get(full.body, 8) if full is not None else self._w.get(layout.common + 4, 4)

    def summary(self) -> str:
        """One line: driver state, queues."""
        status = self._w.get(self._layout.common, 1)
        state = "driver running" if status & 4 else "driver started" if status else "no driver"
        if status & 0x80:
            state = "driver failed"
        elif status & 0x40:
            state = "needs reset"
        in_use = sum(1 for queue in self._layout.queues if queue.desc)
        flavour = "modern" if self._features >> 32 & 1 else "legacy" if status & 4 else ""
        transport = self._layout.transport.partition(" ")[0]
        parts = [
            f"virtio {self._kind}".strip(), f"over {transport}", state, flavour,
            f"{in_use} of {len(self._layout.queues)} queues set up",
        ]  # fmt: skip
        return ", ".join(part for part in parts if part)

    def fields(self) -> list[Field]:
        """The parts in order; they tile the blob."""
        layout = self._layout
        fields = [self._transport(), self._common(), self._queues()]
        if layout.device_end > layout.device:
            fields.append(
                virtio_device.part(
                    self._w, layout.device, layout.device_end - layout.device, self._kind, self._features
                )
            )
        fields += self._subsections()
        return fields

    def _decoded(self, name: str, at: int, vmsd: Vmsd) -> Field:
        children = self._body(vmsd, at)
        return Field(
            name, self._base + at, vmsd.length, "struct", children=children, vmsd=vmsd.name, inferred=True
        )

    def _body(self, vmsd: Vmsd, at: int) -> list[Field]:
        start = self._base + at
        decoder = VmstateDecoder(self._read, start + vmsd.length, inferred=True)
        return decoder.body(vmsd, start)

    def _read(self, offset: int, length: int) -> bytes:
        at = offset - self._base
        return self._data[at : at + length]

    # -- transport

    def _transport(self) -> Field:
        layout = self._layout
        if layout.transport == "mmio":
            item = self._decoded("transport: MMIO", 0, MMIO)
        elif layout.transport == "ccw":
            item = self._ccw()
        else:
            item = self._pci(int(layout.transport.partition(" ")[2]))
        return item

    def _pci(self, size: int) -> Field:
        w, layout = self._w, self._layout
        config = w.raw("config", 4, size, pci.config_space)
        config.type = "pci config"
        levels = [w.number(f"INT{'ABCD'[i]} level", 4 + size + 4 * i, 4) for i in range(4)]
        fields = [w.number("version_id", 0, 4), config, *levels]
        at = 4 + size + 16
        if layout.vectors:
            length = 16 * layout.vectors + (layout.vectors + 7) // 8
            table = w.raw("msix", at, length, pci.msix_state)
            table.type = "msix state"
            fields += [table, w.number("config_vector", at + length, 2, r.say_if(0xFFFF, "none"))]
        item = w.group("transport: PCI", 0, layout.common, fields, config.meaning)
        item.vmsd = "PCIDevice"
        return item

    def _ccw(self) -> Field:
        fields: list[Field] = []
        at = 0
        for vmsd in (SUBCHANNEL, ORB, CCW, SUMMARY_OFFSET, CCW_END):
            if vmsd in (ORB, SUMMARY_OFFSET):
                length = optional_length(self._data, at, vmsd)
                if length:
                    fields.append(
                        self._subsection(
                            Subsection(vmsd.name, at, at + length - vmsd.length, at + length), vmsd
                        )
                    )
                at += length
                continue
            fields += self._body(vmsd, at)
            at += vmsd.length
        item = self._w.group("transport: CCW", 0, self._layout.common, fields)
        item.vmsd = "s390_virtio_ccw_dev"
        cssid, ssid, number = self._data[0], self._data[1], self._w.get(4, 2)
        revision = item.child("revision")
        text = f"subchannel {self._w.get(2, 2):04x}, device {cssid:x}.{ssid:x}.{number:04x}"
        if revision is not None and isinstance(revision.value, int):
            text += ", legacy" if revision.value < 0 else f", revision {revision.value}"
        item.meaning = text
        return item

    # -- common part

    def _common(self) -> Field:
        w, at, layout = self._w, self._layout.common, self._layout
        low = w.number("guest_features (low 32)", at + 4, 4, t.features(self._kind, width=32))
        if "virtio/64bit_features" in self._subs:
            r.add_meaning(low, "the subsection virtio/64bit_features has all of them")
        fields = [
            w.number("status", at, 1, t.STATUS),
            w.number("isr", at + 1, 1, t.ISR),
            w.number("queue_sel", at + 2, 2),
            low,
            w.number("config_len", at + 8, 4),
        ]
        if layout.config_size:
            fields.append(self._config(at + 12, layout.config_size))
        return w.group("common", at, 12 + layout.config_size, fields, fields[0].meaning)

    def _config(self, at: int, size: int) -> Field:
        """Device configuration as the guest last saw it."""
        data = self._data[at : at + size]
        order = self._config_order()
        w = Window(self._data, self._base, self._context, order)
        fields: list[Field] = []
        position = at
        for entry in t.CONFIG.get(self._kind, ()):
            if position + entry.size > at + size:
                break
            rules = () if entry.rule is None else (entry.rule,)
            if entry.raw:
                fields.append(w.raw(entry.name, position, entry.size, *rules))
            else:
                fields.append(w.number(entry.name, position, entry.size, *rules))
            position += entry.size
        text = f"{order}-endian" if data.strip(b"\0") else "all zero: QEMU fills it when the guest reads it"
        return w.group("device configuration", at, size, fields, text)

    def _config_order(self) -> Order:
        """Little-endian for a modern device, the guest's own order for a legacy one."""
        if self._features >> 32 & 1:
            return "little"
        endian = self._subs.get("virtio/device_endian")
        if endian is not None and self._data[endian.body] in (1, 2):
            return "little" if self._data[endian.body] == 1 else "big"
        big = self._layout.transport == "ccw" or self._context.target in ("ppc", "s390x", "sparc", "m68k")
        return "big" if big else "little"

    # -- queues

    def _queues(self) -> Field:
        w, layout = self._w, self._layout
        start = layout.common + 12 + layout.config_size
        count = len(layout.queues)
        fields = [w.number("number of queues", start, 4)]
        fields += [self._queue(number, queue) for number, queue in enumerate(layout.queues)]
        return w.group("queues", start, layout.device - start, fields, r.plural(count, "queue"))

    def _queue(self, number: int, queue: Queue) -> Field:
        w, at = self._w, queue.start
        fields = [w.number("num", at, 4, r.say("size of the ring in descriptors"))]
        at += 4
        if queue.align is not None:
            fields.append(w.number("align", at, 4))
            at += 4
        fields.append(w.number("desc", at, 8, r.address, r.say("descriptor table, guest-physical")))
        fields.append(w.number("last_avail_idx", at + 8, 2))
        at += 10
        if queue.vector is not None:
            fields.append(w.number("vector", at, 2, r.say_if(0xFFFF, "none")))
            at += 2
        name = t.queue_name(self._kind, number, len(self._layout.queues))
        title = f"queue {number}" + (f" ({name})" if name else "")
        return w.group(title, queue.start, at - queue.start, fields, self._queue_text(number, queue))

    def _queue_text(self, number: int, queue: Queue) -> str:
        if not queue.desc:
            return f"{queue.size} entries, not set up"
        parts = [f"{queue.size} entries", f"desc {queue.desc:#x}"]
        rings = self._subs.get("virtio/virtqueues")
        if rings is not None:
            avail, used = (self._w.get(rings.body + 16 * number + 8 * i, 8) for i in range(2))
        else:
            align = queue.align or 4096
            avail = queue.desc + 16 * queue.size
            used = (avail + 2 * (3 + queue.size) + align - 1) // align * align
        parts += [f"avail {avail:#x}", f"used {used:#x}", f"last_avail_idx {queue.last_avail}"]
        packed = self._subs.get("virtio/packed_virtqueues")
        if packed is not None:
            parts.append(f"{self._w.get(packed.body + 10 * number + 6, 4)} in flight")
        if queue.vector not in (None, 0xFFFF):
            parts.append(f"vector {queue.vector}")
        return ", ".join(parts)

    # -- subsections

    def _subsections(self) -> list[Field]:
        fields: list[Field] = []
        for sub in self._layout.subsections:
            item = self._subsection(sub, SUBSECTIONS.get(sub.name))
            parent = fields[-1] if fields else None
            if (
                parent is not None
                and parent.name == "virtio/extra_state"
                and not sub.name.startswith("virtio/")
            ):
                # The transport's vmsd is nested in extra_state, and its only content is this subsection.
                parent.children = [*parent.children, item]
                parent.size += item.size
            else:
                fields.append(item)
        return fields

    def _subsection(self, sub: Subsection, vmsd: Vmsd | None) -> Field:
        w = self._w
        header = w.raw("header", sub.start, sub.body - sub.start)
        header.role = Role.HEADER
        children = [header]
        if vmsd is not None:
            children += self._body(vmsd, sub.body)
        elif sub.end > sub.body:
            children.append(w.raw("data", sub.body, sub.end - sub.body))
        version = w.get(sub.body - 4, 4)
        item = Field(
            sub.name, self._base + sub.start, sub.end - sub.start, "subsection",
            meaning=f"v{version}", children=children, role=Role.SUBSECTION, vmsd=sub.name,
            version=version, inferred=True,
        )  # fmt: skip
        for child in children:
            self._name_content(sub.name, child)
        return item

    def _name_content(self, name: str, item: Field) -> None:
        if item.name in ("vq", "vqs") and isinstance(item.children, LazyFields):
            count = len(self._layout.queues)

            def named(number: int, child: Field) -> Field:
                title = t.queue_name(self._kind, number, count) if number < count else "not there"
                r.rename(child, f"queue {number}" + (f" ({title})" if title else ""))
                for part in child.children:
                    if part.type == "uint64":
                        part.role = Role.ADDRESS
                return child

            item.children = item.children.mapped(named)
            used = f"the first {count} are used" if count else "none is used"
            r.add_meaning(item, f"{QUEUE_MAX} entries, {used}")
        elif item.name == "guest_features" and item.type == "uint64":
            t.features(self._kind)(item, self._context)
        elif item.name == "device_endian":
            r.words({0: "unknown", 1: "little-endian", 2: "big-endian"})(item, self._context)
