"""Save images: both byte orders, every format, and headers that lie."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from qevm.containers import Opened, open_streams
from qevm.containers.xmlview import MAX_TEXT
from qevm.problems import CannotOpen, Severity
from qevm.source import BytesSource

XML = b"<domain type='qemu'>\n <name>g\xc3\xa4st</name><os><type arch='x86_64'>hvm</type></os>\n</domain>\n"
COOKIE = b"<cookie>\n  <slirpHelper/>\n</cookie>\n"


def image(
    payload: bytes,
    *,
    magic: bytes = b"LibvirtQemudSave",
    order: str = "<",
    version: int = 2,
    fmt: int = 0,
    xml: bytes = XML + b"\0",
    cookie: bytes = COOKIE + b"\0",
    cookie_offset: int | None = None,
    data_len: int | None = None,
    padding: int = 4096,
) -> bytes:
    """A save image by the table of containers §11.2."""
    data = xml + cookie + bytes(padding)
    header = magic + struct.pack(
        order + "5I",
        version,
        len(data) if data_len is None else data_len,
        1,
        fmt,
        (len(xml) if cookie else 0) if cookie_offset is None else cookie_offset,
    )
    return header.ljust(92, b"\0") + data + payload


def opened(data: bytes) -> Opened:
    return open_streams(BytesSource(data, "guest.save"), wait=True)


def content(o: Opened) -> bytes:
    return o.stream.source.read(o.stream.base, 1 << 24)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_raw_image_gives_the_inner_stream_from_offset_0(stream: bytes, order: str, version: int) -> None:
    data = image(stream, order=order, version=version)
    o = opened(data)
    assert (o.stream.base, content(o)) == (0, stream)
    assert o.container.kind == "libvirt save image"
    assert o.problems == []
    assert o.stream.file_offset(5) == len(data) - len(stream) + 5
    header, *texts = o.container.parts
    fields = {f.name: f for f in header.decode().children}
    assert fields["version"].value == version
    assert (fields["data_len"].offset, fields["data_len"].value) == (20, len(XML + COOKIE) + 2 + 4096)
    assert header.decode().meaning == {"<": "little-endian host", ">": "big-endian host"}[order]
    assert [t.name for t in texts] == (["domain XML", "cookie"] if version == 2 else ["domain XML"])


def test_the_xml_is_shown_pretty_with_the_place_of_every_element(stream: bytes) -> None:
    data = image(stream)
    o = opened(data)
    _, xml, cookie = o.container.parts
    root = xml.decode()
    assert data[xml.offset : xml.offset + xml.size] == XML
    assert root.problem == ""
    assert root.value == (
        "<domain type='qemu'>\n  <name>gäst</name>\n"
        "  <os>\n    <type arch='x86_64'>hvm</type>\n  </os>\n</domain>"
    )
    for _, item in root.children[0].walk():
        element = ElementTree.fromstring(data[item.offset : item.end])
        assert (element.tag, (element.text or "").strip()) == (item.name, item.value or "")
    name = root.children[0].child("name")
    assert name is not None
    assert (name.value, data[name.offset : name.end]) == ("gäst", b"<name>g\xc3\xa4st</name>")
    assert data[cookie.offset : cookie.offset + cookie.size] == COOKIE
    helper = cookie.decode().children[0].children[0]
    assert data[helper.offset : helper.end] == b"<slirpHelper/>"
    assert cookie.decode().value == "<cookie>\n  <slirpHelper/>\n</cookie>"


@pytest.mark.parametrize(("number", "pack"), [(1, gzip.compress), (2, bz2.compress), (3, lzma.compress)])
def test_compressed_payloads_are_unpacked(stream: bytes, number: int, pack: Callable[[bytes], bytes]) -> None:
    o = opened(image(pack(stream), fmt=number))
    assert content(o) == stream
    assert o.container.layers == ["libvirt save image", ["", "gzip", "bzip2", "xz"][number]]
    assert o.problems == []
    assert o.stream.file_offset(0) is None
    o.close()


@pytest.mark.parametrize(("number", "program"), [(4, "lzop"), (5, "zstd"), (0, "lz4")])
def test_payloads_of_other_programs_are_unpacked(
    stream: bytes, tool: Callable[..., bytes], number: int, program: str
) -> None:
    o = opened(image(tool(program, "-c", data=stream), fmt=number))
    assert content(o) == stream
    # lz4 is no libvirt format: the payload is believed.
    assert [p.offset for p in o.problems] == ([28] if program == "lz4" else [])
    o.close()


def test_an_image_inside_a_compressed_file_is_opened_through_both(stream: bytes) -> None:
    o = opened(lzma.compress(image(gzip.compress(stream), fmt=1)))
    assert o.container.layers == ["xz", "libvirt save image", "gzip"]
    assert content(o) == stream
    xml = o.container.parts[1]
    assert xml.source.read(xml.offset, xml.size) == XML
    assert xml.decode().problem == ""
    o.close()


def test_a_sparse_image_keeps_the_offsets_of_the_file(stream: bytes) -> None:
    data = image(stream, fmt=6)
    o = opened(data)
    assert o.stream.base == len(data) - len(stream)
    assert content(o) == stream
    assert o.stream.source.size == len(data)
    assert o.stream.file_offset(o.stream.base) == o.stream.base


def test_a_sparse_stream_at_the_next_page_is_found_with_a_problem(stream: bytes) -> None:
    data = image(b"", fmt=6)
    at = -(-len(data) // 4096) * 4096
    o = opened(data.ljust(at, b"\0") + stream)
    assert o.stream.base == at
    assert (o.problems[0].offset, o.problems[0].found) == (20, f"one at 0x{at:x}")


def test_an_unfinished_image_is_opened_with_a_warning(stream: bytes) -> None:
    o = opened(image(stream, magic=b"LibvirtQemudPart"))
    assert content(o) == stream
    [problem] = o.problems
    assert (problem.offset, problem.severity, problem.found) == (0, Severity.WARNING, "LibvirtQemudPart")


@pytest.mark.parametrize(
    ("fmt", "pack", "expected", "found"),
    [(1, bytes, "raw", "gzip"), (0, gzip.compress, "gzip", "raw"), (5, lzma.compress, "xz", "zstd")],
)
def test_the_payload_is_believed_against_the_header(
    stream: bytes, fmt: int, pack: Callable[[bytes], bytes], expected: str, found: str
) -> None:
    o = opened(image(pack(stream), fmt=fmt))
    assert content(o) == stream
    [problem] = o.problems
    assert (problem.offset, problem.expected, problem.found) == (28, expected, found)
    o.close()


def test_an_unknown_format_number_is_a_warning(stream: bytes) -> None:
    o = opened(image(gzip.compress(stream), fmt=77))
    assert content(o) == stream
    assert [(p.offset, p.found) for p in o.problems] == [(28, "77")]
    o.close()


@pytest.mark.parametrize("data_len", [0, 10, 1_000_000, 0xFFFFFFFF])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_wrong_data_len_does_not_hide_the_stream(
    stream: bytes, data_len: int, pack: Callable[[bytes], bytes]
) -> None:
    o = opened(image(pack(stream), data_len=data_len, fmt=0 if pack is bytes else 1))
    assert content(o) == stream
    assert any(p.offset == 20 and p.severity is Severity.ERROR for p in o.problems)
    xml = o.container.parts[1]
    assert xml.source.read(xml.offset, xml.size) == XML
    o.close()


def test_data_len_0_with_the_stream_right_behind_the_header(stream: bytes) -> None:
    o = opened(image(stream, xml=b"", cookie=b"", padding=0))
    assert content(o) == stream
    assert [p.offset for p in o.problems] == [20]
    assert [p.name for p in o.container.parts] == ["libvirt header"]


@pytest.mark.parametrize("offset", [1_000_000, 0xFFFFFFFF])
def test_a_cookie_outside_of_the_data_is_not_shown(stream: bytes, offset: int) -> None:
    o = opened(image(stream, cookie_offset=offset))
    assert content(o) == stream
    assert [(p.offset, p.found) for p in o.problems] == [(32, str(offset))]
    assert [p.name for p in o.container.parts] == ["libvirt header", "domain XML"]


def test_an_xml_without_nul_ends_where_the_data_ends(stream: bytes) -> None:
    o = opened(image(stream, xml=XML, cookie=b"", padding=0))
    assert content(o) == stream
    assert "no NUL" in o.problems[0].message
    assert o.container.parts[1].size == len(XML)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (image(b"")[:50], "cut inside its header: 50 bytes, the header has 92"),
        (image(b""), "without a stream: it should begin at 0x"),
        (image(b"\x01\x02\x03\x04" * 100), "expected QEVM or a compressed stream at 0x"),
        (image(b"QEVM\0\0\0\2" + bytes(50)), "stream version 2"),
        (
            image(gzip.compress(b"not a stream at all")),
            "in the gzip data: not a migration stream: this is text",
        ),
    ],
)
def test_an_image_without_a_stream_says_what_is_there(data: bytes, words: str) -> None:
    with pytest.raises(CannotOpen) as caught:
        opened(data)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_version_is_a_problem_not_a_refusal(stream: bytes) -> None:
    o = opened(image(stream, version=9))
    assert content(o) == stream
    assert [(p.offset, p.found) for p in o.problems] == [(16, "9")]


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;">]><domain>&d;</domain>"""
XXE = b"""<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><domain>&x;</domain>"""


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (LAUGHS, "document type declaration"),
        (XXE, "document type declaration"),
        (b"<domain>&x;</domain>", "undefined entity"),
        (b"<domain><name>", "no element found"),
        (b"<domain>\x1b]52;c;AAAA\x07</domain>", "not well-formed"),
        (b"\xff\xfe<\x00d\x00", "not well-formed"),
        (b"<a>" * 3000 + b"</a>" * 3000, "more than 200 levels"),
        (b"", "no element found"),
    ],
    ids=["laughs", "xxe", "entity", "cut", "control", "utf16", "deep", "empty"],
)
def test_hostile_xml_is_shown_as_it_is(stream: bytes, xml: bytes, words: str) -> None:
    o = opened(image(stream, xml=xml + b"\0", cookie=b""))
    assert content(o) == stream
    root = o.container.parts[1].decode()
    assert words in root.problem
    shown = xml.partition(b"\0")[0].decode("utf-8", "backslashreplace")
    assert root.value == shown
    assert "root:" not in str(root.value)


def test_an_element_ends_at_its_own_bracket_and_text_of_any_shape_is_quick(stream: bytes) -> None:
    xml = b"<d><a x='1>2' y=\"'>\"/>" + b"text<!-- > --><b/>" * 40_000 + b"</d>"
    data = image(stream, xml=xml + b"\0", cookie=b"")
    o = opened(data)
    root = o.container.parts[1].decode()
    assert root.problem == ""
    first, second, *_ = root.children[0].children
    assert data[first.offset : first.end] == b"<a x='1>2' y=\"'>\"/>"
    assert first.meaning == "x='1&gt;2' y='&apos;&gt;'"
    assert data[second.offset : second.end] == b"<b/>"
    assert root.children[0].value == "text" * 40_000


def test_an_xml_of_many_megabytes_is_shown_in_part(stream: bytes) -> None:
    o = opened(image(stream, xml=b"<domain>" + b" " * (MAX_TEXT + 5) + b"</domain>\0", cookie=b""))
    root = o.container.parts[1].decode()
    assert root.problem.startswith(f"only the first {MAX_TEXT} of")
    assert len(str(root.value)) == MAX_TEXT
