"""XML out of a save image, shown without trusting it.

expat with every DTD refused: no DTD means no entities of one's own, so neither external files (XXE) nor
exponential expansion (billion laughs).  What it does not accept is shown as the raw text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

from qevm.field import Field, Role

MAX_TEXT = 4 << 20
"""Bytes of XML that are looked at; libvirt's own limit for a save image's data is a few MiB."""

_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")
_MAX_DEPTH = 200
_MAX_ELEMENTS = 50_000


class _RefusedError(Exception):
    """Not XML that libvirt would write."""


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    start: int
    end: int = 0
    pieces: list[str] = field(default_factory=list)
    children: list[_Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces).strip()


def decode_xml(name: str, data: bytes, offset: int, size: int) -> Field:
    """The Field of an XML document that begins at ``offset`` and has ``size`` bytes.

    ``value`` is the pretty-printed text (or the raw text, with ``problem`` saying why); the children are
    the elements with their own places in the file, attributes as ``meaning``.  ``data`` may be cut to
    MAX_TEXT bytes.  All of it is untrusted text.
    """
    if len(data) < size:
        problem = f"only the first {len(data)} of {size} bytes are shown"
    else:
        try:
            root = _parse(data)
        except (_RefusedError, expat.ExpatError, ValueError) as error:
            problem = f"not well-formed XML, shown as it is: {error}"
        else:
            text = "\n".join(_pretty(root))
            return Field(name, offset, size, "xml", text, "", [_field(root, offset)], Role.TEXT)
    raw = data.decode("utf-8", "backslashreplace")
    return Field(name, offset, size, "xml", raw, "", (), Role.TEXT, problem=problem)


def _parse(data: bytes) -> _Element:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    stack: list[_Element] = []
    roots: list[_Element] = []
    count = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) >= _MAX_DEPTH or count > _MAX_ELEMENTS:
            raise _RefusedError(f"more than {_MAX_DEPTH} levels or {_MAX_ELEMENTS} elements")
        element = _Element(tag, attributes, parser.CurrentByteIndex)
        element.end = _end_of_tag(data, element.start)
        (stack[-1].children if stack else roots).append(element)
        stack.append(element)

    def end(_tag: str) -> None:
        element = stack.pop()
        # For an empty element expat's index is behind it already; its one tag ended it.
        if data[element.end - 2 : element.end] != b"/>":
            element.end = _end_of_tag(data, parser.CurrentByteIndex)

    def text(content: str) -> None:
        if stack:
            stack[-1].pieces.append(content)

    def doctype(*_: object) -> int:
        raise _RefusedError("it has a document type declaration, which is never followed")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = doctype
    parser.ExternalEntityRefHandler = doctype
    parser.Parse(data, True)
    return roots[0]


def _end_of_tag(data: bytes, start: int) -> int:
    """Offset behind the tag that begins at ``start``; a ``>`` in a quoted attribute does not end it."""
    tag = _TAG.match(data, start)
    return tag.end() if tag else len(data)


def _attributes(element: _Element) -> str:
    return "".join(f" {key}='{_escape(value, quote=True)}'" for key, value in element.attributes.items())


def _escape(text: str, quote: bool = False) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("'", "&apos;") if quote else text


def _pretty(element: _Element, indent: str = "") -> list[str]:
    head = f"{indent}<{element.name}{_attributes(element)}"
    text = _escape(element.text)
    if not element.children:
        return [f"{head}>{text}</{element.name}>" if text else f"{head}/>"]
    lines = [f"{head}>"]
    if text:
        lines.append(f"{indent}  {text}")
    for child in element.children:
        lines += _pretty(child, indent + "  ")
    lines.append(f"{indent}</{element.name}>")
    return lines


def _field(element: _Element, base: int) -> Field:
    text = element.text
    return Field(
        element.name,
        base + element.start,
        max(0, element.end - element.start),
        "element",
        text or None,
        _attributes(element).strip(),
        [_field(child, base) for child in element.children],
        Role.TEXT,
    )
