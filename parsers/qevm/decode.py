"""From a section to its Field tree: which format reads its body, and what the fields mean.

One decoder serves one walk: it looks at the walk's index, bodies and descriptions, which grow.
"""

from __future__ import annotations

from dataclasses import dataclass

from qevm.analyze import device_state
from qevm.bodies.command import command_fields, command_summary
from qevm.bodies.config import configuration_fields
from qevm.bodies.known_layouts import match_body
from qevm.bodies.protocol import Body
from qevm.bodies.ram import RamBody
from qevm.field import Field, Role
from qevm.located import Located
from qevm.section import Section, SectionKind
from qevm.source import Source
from qevm.vmdesc import Vmsd
from qevm.vmstate import VmstateDecoder
from qevm.walk.state import WalkState

_SHOWN = 1 << 20
"""Bytes of an opaque body that one Field holds; the hex pane shows the rest."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A body's layout, the vmsd name that explanations go by, and whether it was inferred."""

    vmsd: Vmsd
    name: str
    inferred: bool


class SectionDecoder:
    """Decodes the sections of one walk, located ones included."""

    def __init__(self, state: WalkState, source: Source, located: Located) -> None:
        self._state = state
        self._source = source
        self._located = located

    def body_of(self, section: Section) -> Body | None:
        """The format that reads a section's chain; None for vmstate devices and those not walked yet."""
        return None if section.device is None else self._state.bodies.get(section.device)

    def layout(self, section: Section) -> Layout | None:
        """How the body of a FULL section is laid out: as described, or as a built-in layout has it."""
        described = self._located.description_of(section)
        if described is None and section.device is not None:
            described = self._state.layouts.get(section.device)
        if described is not None:
            return Layout(described.vmsd, "" if described.legacy else described.vmsd.name, False)
        inferred = None if self.body_of(section) is not None else self._inferred(section)
        return None if inferred is None else Layout(inferred, inferred.name, True)

    def _inferred(self, section: Section) -> Vmsd | None:
        """A built-in layout whose length fits a section that the stream does not describe, or None."""
        if section.kind is not SectionKind.FULL or section.idstr is None:
            return None
        for end, vmsd in match_body(
            self._source, section.body, section.body_end, section.idstr, section.version_id or 0
        ):
            if end == section.body_end:
                return vmsd
        return None

    def decode(self, section: Section) -> Field:
        """The Field tree of one section: header, body, footer.  Long runs are made when looked at."""
        # construct is for those who look into a section, not for a listing.
        from qevm.bodies import vmdescription
        from qevm.layout import FileHeader, fields_of

        kind = section.kind
        root = Field(
            section.device_id or kind.name,
            section.offset,
            section.size,
            kind.name,
            meaning=self.summary(section),
            version=section.version_id,
        )
        if kind is SectionKind.HEADER:
            data = self._source.read(section.offset, section.size)
            root.children = fields_of(FileHeader, data, section.offset, Role.HEADER)
        elif kind is SectionKind.CONFIGURATION:
            root.children = [
                Field("type", section.offset, 1, "uint8", 7, "CONFIGURATION", role=Role.HEADER),
                *configuration_fields(section, self._state.facts, self._configuration),
            ]
        elif kind is SectionKind.COMMAND:
            root.children = command_fields(self._source, section.offset, section.end)
        elif kind is SectionKind.VMDESCRIPTION:
            root.children = vmdescription.fields(self._source, section, self._state.description)
        elif kind is SectionKind.EOF:
            root.children = [Field("type", section.offset, 1, "uint8", 0, "EOF", role=Role.HEADER)]
        elif kind is SectionKind.UNKNOWN:
            root.children = [self._opaque("bytes", section.offset, section.end, "", Role.PROBLEM)]
        else:
            layout = self.layout(section)
            root.children = self._device(section, layout)
            self._explain(root, section, layout)
        return root

    def _configuration(self) -> Vmsd | None:
        description = self._state.description
        return description.configuration if description else None

    def _device(self, section: Section, layout: Layout | None) -> list[Field]:
        """Header, body and footer of a START, PART, END or FULL section."""
        from qevm.layout import Footer, PartHeader, StartHeader, fields_of

        data = self._source.read(section.offset, section.body - section.offset)
        started = section.kind in (SectionKind.START, SectionKind.FULL)
        record = StartHeader if started else PartHeader
        parts = fields_of(record, data, section.offset, Role.HEADER)
        header = Field("header", section.offset, len(data), "header", children=parts, role=Role.HEADER)
        fields = [header, *self._body(section, layout)]
        if section.has_footer:
            tail = self._source.read(section.body_end, section.end - section.body_end)
            parts = fields_of(Footer, tail, section.body_end, Role.FOOTER)
            fields.append(
                Field("footer", section.body_end, len(tail), "footer", children=parts, role=Role.FOOTER)
            )
        return fields

    def _body(self, section: Section, layout: Layout | None) -> list[Field]:
        body = self.body_of(section)
        if body is not None:
            return body.fields(section)
        if layout is not None:
            read = BodyReader(self._source, section.body, section.body_end)
            decoder = VmstateDecoder(read, section.body_end, inferred=layout.inferred)
            return decoder.body(layout.vmsd, section.body)
        if section.body_end <= section.body:
            return []
        return [self._opaque("data", section.body, section.body_end, "not described", Role.BUFFER)]

    def _opaque(self, name: str, start: int, end: int, meaning: str, role: Role) -> Field:
        data = self._source.read(start, min(end - start, _SHOWN))
        return Field(name, start, end - start, "buffer", data, meaning, role=role)

    def _explain(self, root: Field, section: Section, layout: Layout | None) -> None:
        # The tables of explanations are for those who look into a device, not for a listing.
        from qevm.explain import ExplainContext, explain, target_of, virtual_clock

        timer = self._find("timer")
        clock = None if timer is None else virtual_clock(self._body(timer, self.layout(timer)))
        cpu = self._find("cpu")
        cpu_layout = None if cpu is None else self.layout(cpu)
        target = "" if cpu_layout is None else target_of(item.name for item in cpu_layout.vmsd.fields)
        context = ExplainContext(
            section.idstr or "",
            self._source.read,
            section.instance_id or 0,
            "" if layout is None else layout.name,
            section.version_id,
            clock,
            target,
        )
        explain(root, context)

    def _find(self, idstr: str) -> Section | None:
        device = self._state.index.device(idstr, 0)
        if device is not None and len(device.sections):
            return self._state.index[device.sections[0]]
        return next((section for section in self._located if section.idstr == idstr), None)

    def summary(self, section: Section) -> str:
        """One short phrase for the tree: what a section carries.  Empty when there is nothing to say."""
        kind = section.kind
        if kind is SectionKind.HEADER:
            return "QEVM version 3"
        if kind is SectionKind.CONFIGURATION:
            return self._state.facts.machine
        if kind is SectionKind.COMMAND:
            return command_summary(self._source, section.offset, section.end)
        if kind is SectionKind.VMDESCRIPTION:
            description = self._state.description
            return "" if description is None else f"{len(description.devices)} devices"
        if kind is SectionKind.UNKNOWN:
            return "nothing explains these bytes"
        body = self.body_of(section)
        return "" if body is None else body.summary(section)

    def analyze(self) -> dict[str, object]:
        """What ``scripts/analyze-migration.py -d state`` prints, for all sections walked so far.

        Devices without a description are decoded by built-in layouts, else given as hex.
        """
        index = self._state.index
        result: dict[str, object] = {}
        for device in index.devices:
            section = index[device.sections[0]]
            key = f"{device.idstr} ({section.section_id})"
            if device.iterative:
                body = self.body_of(section)
                if isinstance(body, RamBody):
                    sizes = {name: f"0x{size:016x}" for name, size in body.block_list()}
                    result[key] = {"section sizes": sizes}
                else:
                    result[key] = ""
                continue
            layout = self.layout(section)
            read = BodyReader(self._source, section.body, section.body_end)
            if layout is None:
                result[key] = {"data": read(section.body, section.body_end - section.body).hex(" ")}
            else:
                result[key] = device_state(layout.vmsd, read, section.body, section.body_end)
        return result


class BodyReader:
    """Reads of one body: the first 4 MiB are fetched once, what lies behind when it is asked for."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self._source = source
        self._start = start
        self._end = end
        self._data: bytes | None = None

    def __call__(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes at ``offset``, none behind the end of the body."""
        length = min(length, self._end - offset)
        if length <= 0:
            return b""
        if self._data is None:
            self._data = self._source.read(self._start, min(self._end - self._start, 4 << 20))
        index = offset - self._start
        if index >= 0 and index + length <= len(self._data):
            return self._data[index : index + length]
        return self._source.read(offset, length)
