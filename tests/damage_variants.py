"""Damaged variants of a capture, always the same ones, and what a reader must say of each.

The shared folder has a generator of its own (``../shared/tools/damage.py``); where it is there, its variants
go through the same tests.  Classes of damage that both make have the same name.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
import random
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType

from examples import shared_folder

from qevm.capture import Capture
from qevm.section import Section, SectionKind

BE32 = struct.Struct(">I").pack
BE64 = struct.Struct(">Q").pack


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of a class of damage.

    ``says`` is a regular expression that one of the messages must match; None: nothing may be reported
    but notes.  ``refused``: QEMU itself would not load it, so ``check`` must not exit 0.  ``exact``: the
    first problem begins where the damage does; else ``why`` that place cannot be told from the bytes.
    ``opens`` is False where there is no stream to walk.
    """

    says: str | None
    refused: bool = True
    exact: bool = True
    why: str = ""
    opens: bool = True


def _not_exact(says: str, why: str, *, refused: bool = True) -> Expectation:
    return Expectation(says, refused, exact=False, why=why)


def _no_stream(says: str) -> Expectation:
    return Expectation(says, exact=False, why="nothing of it is a stream", opens=False)


_TRUNCATED = (
    r"truncated|^cut inside|ends without EOF|data end inside|announces \d+ bytes, \d+ are (present|left)"
)
_SAME_DEVICE = r"damaged header: by the description and the (footer|name) this is"

# QEMU reads the description and throws it away; it never looks behind it.
EXPECTED: dict[str, Expectation] = {
    "cut": Expectation(_TRUNCATED),
    "cut-header": _no_stream("the header needs 8"),
    # Only the guest knows what its bytes should be.
    "flip": _not_exact(
        ".", "most bytes are the guest's own, and a size of the description is as good as any"
    ),
    "hole": _not_exact(".", "zeros are legal contents; the first record that they break is reported"),
    "noise": _not_exact(".", "any byte is legal content; the first record that it breaks is reported"),
    "magic": _no_stream("expected 51 45 56 4d"),
    "magic-swapped": _no_stream("bytes were swapped"),
    "version-2": _no_stream("version 2 .*is obsolete"),
    "version-4": _no_stream("version 4 .*is unknown"),
    "machine-name-length": Expectation("machine name in the configuration is too long"),
    "vmdesc-length-longer": Expectation(r"announces \d+ bytes, its JSON has", refused=False),
    "vmdesc-length-shorter": Expectation(r"announces \d+ bytes, its JSON has", refused=False),
    "vmdesc-length-huge": Expectation(r"announces \d+ bytes, its JSON has", refused=False),
    "vmdesc-length-zero": Expectation(r"announces 0 bytes, its JSON has", refused=False),
    "vmdesc-not-json": Expectation("description is damaged", refused=False),
    "vmdesc-not-utf8": Expectation("description is damaged.*not UTF-8", refused=False),
    "vmdesc-field-size": _not_exact(
        "description", "another size is as good; the place where the stream contradicts it", refused=False
    ),
    "vmdesc-negative-size": _not_exact(
        "description is damaged", "a number of the JSON: the device that has it is named", refused=False
    ),
    "vmdesc-missing": Expectation(None, refused=False),
    "vmdesc-deep": Expectation("description is not valid.*too deep", refused=False),
    "trailing": Expectation(r"\d+ bytes behind the end", refused=False),
    "section-type": Expectation(_SAME_DEVICE),
    "section-type-0": Expectation(_SAME_DEVICE),
    "section-id": _not_exact(
        r"footer at 0x\w+ names section", "header and footer differ: QEMU, too, blames the footer"
    ),
    "instance-id": Expectation(_SAME_DEVICE),
    "section-version": Expectation("version of .* differs from the description"),
    "footer-id": Expectation(r"footer at 0x\w+ names section \d+, expected"),
    "footer-magic": Expectation("first byte of the footer of .* is damaged"),
    "footer-missing": Expectation("missing section footer"),
    "string-length": Expectation(_SAME_DEVICE),
    "string-empty": Expectation(_SAME_DEVICE),
    "name-not-text": Expectation(_SAME_DEVICE),
    "part-type": Expectation("."),
    "part-unknown-id": Expectation("(PART|END) for section 30583 which was never started"),
    "part-footer-id": Expectation(r"footer at 0x\w+ names section \d+, expected"),
    "start-name": Expectation("this is the START of"),
    "start-type": Expectation("this is the START of"),
    "start-name-length": Expectation("this is the START of"),
    "package-longer": _not_exact(".", "the length is one of many: what is too much is reported"),
    "package-shorter": _not_exact(".", "the length is one of many: what is cut off is reported"),
    "package-huge": Expectation(r"PACKAGED announces \d+ bytes, \d+ are left"),
    "no-start": Expectation("which was never started"),  # may be preceded by other STARTs
    "double-start": Expectation("second START of", refused=False),
    "section-duplicate": Expectation("second FULL section of", refused=False),
    "section-removed": Expectation("the description lists .* the stream does not hold it", refused=False),
    "sections-swapped": Expectation("order", refused=False),
    "byte-lost": _not_exact("the description says", "bytes are missing somewhere before the footer"),
    "byte-inserted": _not_exact("the description says", "bytes are too many somewhere before the footer"),
    "ram-total": Expectation("block list sums to 0x[0-9a-f]+ but announces"),
    "block-length-overflow": Expectation("cannot have this length"),
    "block-length-zero": Expectation("cannot have this length: it is 0"),
    "block-name-length": Expectation("name length does not fit"),
    "page-address": Expectation(r"is outside its block of|RAM flags 0x[0-9a-f]+ not valid"),
    "page-flags": Expectation("RAM flags 0x[0-9a-f]+ not valid"),
    "page-is-rdma": Expectation("HOOK"),
    "page-continue": Expectation("continues an unnamed block"),
    "page-block-name": Expectation("which is not in the block list"),
    "eos-lost": _not_exact(".", "what follows an EOS record is no record: found behind it"),
    "empty": _no_stream("empty, the header needs 8"),
    "one-byte": _no_stream("has 1 byte, the header needs 8"),
    "magic-only": _no_stream("has 4 bytes, the header needs 8"),
    "random": _no_stream("no migration stream|not a migration stream"),
    "random-with-magic": Expectation("unknown section type|no plausible|ends without"),
    "zeros": _no_stream("zero"),
    "header-zeros": Expectation("EOF before any section"),
    "elf": _no_stream("ELF"),
    "text": _no_stream("text"),
    "gzip-cut": _not_exact("ends too early", "the place is one of the compressed data"),
    "gzip-bomb-like": _not_exact("EOF before any section", "the place is one of the unpacked data"),
    "libvirt-header-only": _no_stream("libvirt"),
    # libvirt would refuse it; what QEMU gets to see is sound.
    "libvirt-bad-format": Expectation(None, refused=False),
    "qcow2-header-only": _no_stream("qcow2|cluster|snapshot"),
    "offset-prefix": Expectation(None, refused=False),
    "twice": Expectation(None, refused=False),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One damaged file.

    Up to ``low`` it is as the sound one; from ``high`` of the sound one on, too, ``shift`` bytes further
    on.  ``places`` are the offsets that are right for the first problem: the first byte that differs, and
    where the number, name or section that it belongs to begins.
    """

    name: str
    kind: str
    data: bytes = field(repr=False)
    low: int
    high: int
    shift: int
    places: tuple[int, ...]

    @property
    def expected(self) -> Expectation:
        """What is expected of this class of damage."""
        return EXPECTED[self.kind]


class Anatomy:
    """Where the parts of a sound stream are, for those who damage it."""

    def __init__(self, data: bytes, capture: Capture) -> None:
        self.data = data
        self._description = capture.description
        rows = [section for section in capture.index if section.depth == 0]
        self.first = rows[1]
        # In a package there are devices, too.
        self.full = [row for row in capture.index if row.kind is SectionKind.FULL]
        self.starts = [row for row in rows if row.kind is SectionKind.START]
        self.parts = [row for row in rows if row.kind in (SectionKind.PART, SectionKind.END)]
        self.packages = [
            row
            for row in rows
            if row.kind is SectionKind.COMMAND and data[row.offset + 1 : row.offset + 3] == b"\0\7"
        ]
        self.eof = next((row.offset for row in rows if row.kind is SectionKind.EOF), len(data))
        self.vmdesc = next((row for row in rows if row.kind is SectionKind.VMDESCRIPTION), None)
        self.footers = bool(capture.facts.footers)
        self.page_size = capture.facts.page_size or 4096
        ram = self.starts[0] if self.starts and self.starts[0].idstr == "ram" else None
        # Offset of the MEM_SIZE record, and of the length of its first block.
        self.block_list = None if ram is None else ram.body
        self.first_length: int | None = None
        if ram is not None and any(data[ram.body : ram.body + 7]):
            self.first_length = ram.body + 9 + data[ram.body + 8]
        self.page: int | None = None
        if ram is not None and self.parts and self.parts[0].idstr == "ram":
            first = self.parts[0].body
            if data[first + 7] & 0x0A:
                self.page = first

    def says_version(self, section: Section) -> bool:
        """The description has a version to compare the header's with."""
        devices = self._description.devices if self._description else ()
        return any(
            (one.name, one.instance_id) == (section.idstr, section.instance_id)
            and one.vmsd.version is not None
            for one in devices
        )

    @property
    def middle(self) -> Section:
        """The device in the middle."""
        return self.full[len(self.full) // 2]

    def starts_of_fields(self, name: str) -> list[int]:
        """Where the thing begins that a variant of the shared generator damages, beside the first byte."""
        middle = self.middle if self.full else None
        found: dict[str, int | None] = {
            "section-duplicate": middle.end if middle else None,
            "section-removed": middle.offset if middle else None,
            "sections-swapped": middle.offset if middle else None,
            "double-start": self.starts[0].end if self.starts else None,
            # Where other STARTs follow, nothing is wrong before the first PART.
            "no-start": self.parts[0].offset - self.starts[0].size if self.parts else None,
            "ram-total": self.block_list,
            "block-length-overflow": self.first_length,
            "block-length-zero": self.first_length,
        }
        if self.parts and name.startswith("page-"):
            found[name] = self.parts[0].body
        if self.vmdesc is not None:
            found["vmdesc-deep"] = self.vmdesc.offset + 5
            if name.startswith("vmdesc-length-"):
                found[name] = self.vmdesc.offset + 1
        at = found.get(name)
        return [] if at is None else [at]


def _put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _same(left: bytes, right: bytes) -> int:
    """How many bytes are alike from the start."""
    size = min(len(left), len(right))
    low, high = 0, size
    if left[:size] == right[:size]:
        return size
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low


def make_variant(anatomy: Anatomy, name: str, data: bytes, places: tuple[int, ...] = ()) -> Variant:
    """Compare ``data`` with the sound stream, and find the class in its name."""
    sound = anatomy.data
    kind = _kind(name)
    low = _same(sound, data)
    tail = _same(sound[low:][::-1], data[low:][::-1])
    return Variant(
        name,
        kind,
        data,
        low,
        len(sound) - tail,
        len(data) - len(sound),
        (low, *places, *anatomy.starts_of_fields(name)),
    )


def _kind(name: str) -> str:
    if name in EXPECTED:
        return name
    word, _, number = name.partition("-")
    if word == "cut" and int(number) < 8:
        return "cut-header"
    return word


def variants(anatomy: Anatomy) -> Iterator[Variant]:
    """All damaged variants of one stream."""
    for name, data, *places in _damaged(anatomy):
        yield make_variant(anatomy, name, data, tuple(places))


_Made = tuple[str, bytes] | tuple[str, bytes, int]


def _damaged(a: Anatomy) -> Iterator[_Made]:
    yield from _cut(a)
    yield from _scattered(a)
    yield from _head(a)
    if a.vmdesc is not None:
        yield from _description(a, a.vmdesc)
    if a.full:
        yield from _device(a)
    if a.parts:
        yield from _chain(a)
    for package in a.packages[:1]:
        at = package.offset + 5
        length = int.from_bytes(a.data[at : at + 4], "big")
        yield "package-longer", _put(a.data, at, BE32(length + 7)), at
        yield "package-shorter", _put(a.data, at, BE32(length - 7)), at
        yield "package-huge", _put(a.data, at, b"\xff" * 4)
    yield from _ram(a)
    yield from _foreign(a)


def _cut(a: Anatomy) -> Iterator[_Made]:
    cuts = {1, 7, 8, 9, a.first.end - 3, a.first.end, len(a.data) - 1}
    for row in [*a.starts[:1], *a.parts[:1], *a.parts[-1:], *a.full[:1], *a.full[-1:]]:
        cuts |= {row.offset, row.offset + 3, row.body, (row.body + row.body_end) // 2, row.body_end}
        cuts |= {row.body_end + 2, row.end - 1, row.end} if row.has_footer else set()
    if a.vmdesc is not None:
        cuts |= {a.vmdesc.offset, a.vmdesc.offset + 3, a.vmdesc.offset + 5, a.vmdesc.offset + 1005}
    for cut in sorted(cuts):
        if cut < len(a.data) and (a.vmdesc is None or cut != a.vmdesc.offset):
            yield f"cut-{cut}", a.data[:cut]


def _scattered(a: Anatomy) -> Iterator[_Made]:
    source = random.Random(len(a.data))
    for _ in range(12):
        at, bit = source.randrange(8, len(a.data)), source.randrange(8)
        yield f"flip-{at}-{bit}", _put(a.data, at, bytes((a.data[at] ^ 1 << bit,)))
    for size in (16, 512, 4096):
        for name, stretch in (("hole", bytes(size)), ("noise", source.randbytes(size))):
            at = source.randrange(8, max(9, len(a.data) - size))
            yield f"{name}-{at}", _put(a.data, at, stretch)


def _head(a: Anatomy) -> Iterator[_Made]:
    yield "magic", _put(a.data, 0, b"QEVN")
    yield "magic-swapped", _put(a.data, 0, b"MVEQ")
    yield "version-2", _put(a.data, 4, BE32(2))
    yield "version-4", _put(a.data, 4, BE32(4))
    if a.first.kind is SectionKind.CONFIGURATION:
        yield "machine-name-length", _put(a.data, a.first.offset + 1, b"\x7f\xff\xff\xff")


def _description(a: Anatomy, row: Section) -> Iterator[_Made]:
    at, size = row.offset + 1, row.end - row.body
    for name, length in (
        ("longer", size + 1000), ("shorter", size // 2), ("huge", 0xFFFFFFFF), ("zero", 0)
    ):  # fmt: skip
        yield f"vmdesc-length-{name}", _put(a.data, at, BE32(length))
    yield "vmdesc-not-json", _put(a.data, row.body, b"<")
    yield "vmdesc-not-utf8", _put(a.data, row.body + size // 2, b"\xff\xfe\xff")
    number = a.data.find(b'"size": ', row.body + size // 3)
    if number >= 0:
        yield "vmdesc-field-size", _put(a.data, number + 8, b"9")
        behind = a.data[number + 9 :]
        yield "vmdesc-negative-size", a.data[: number + 8] + b"-1" + behind
    yield "vmdesc-missing", a.data[: row.offset]
    yield "vmdesc-deep", a.data[: row.offset] + b"\x06" + BE32(100_000) + b"[" * 100_000
    yield "trailing", a.data + b"behind the end " * 100


def _device(a: Anatomy) -> Iterator[_Made]:
    d, f = a.data, a.middle
    if a.vmdesc is not None:
        yield "section-type", _put(d, f.offset, b"\x4d")
        yield "section-type-0", _put(d, f.offset, b"\0")
        yield "string-length", _put(d, f.offset + 5, b"\xff")
        yield "string-empty", _put(d, f.offset + 5, b"\0")
        yield "name-not-text", _put(d, f.offset + 6, b"\x1b[2")
        yield "instance-id", _put(d, f.body - 8, BE32(77)), f.body - 8
        if a.says_version(f):
            yield "section-version", _put(d, f.body - 4, BE32(99)), f.body - 4
        yield "section-duplicate", d[: f.end] + d[f.offset :]
        yield "section-removed", d[: f.offset] + d[f.end :]
        after = next((row for row in a.full if row.offset == f.end), None)
        if after is not None:
            yield (
                "sections-swapped",
                d[: f.offset] + d[f.end : after.end] + d[f.offset : f.end] + d[after.end :],
            )
    if a.footers:
        yield "section-id", _put(d, f.offset + 1, BE32(4321))
        yield "footer-id", _put(d, f.body_end + 1, BE32(0xDEAD))
        yield "footer-magic", _put(d, f.body_end, b"\x7f")
        yield "footer-missing", d[: f.body_end] + d[f.end :]
        middle = (f.body + f.body_end) // 2
        if a.vmdesc is not None:
            yield "byte-lost", d[:middle] + d[middle + 1 :]
            yield "byte-inserted", d[:middle] + b"\x5a" + d[middle:]


def _chain(a: Anatomy) -> Iterator[_Made]:
    d, start, part = a.data, a.starts[0], a.parts[0]
    yield "part-unknown-id", _put(d, part.offset + 1, BE32(0x7777))
    yield "no-start", d[: start.offset] + d[start.end :]
    yield "double-start", d[: start.end] + d[start.offset :]
    if a.footers:
        yield "part-type", _put(d, part.offset, b"\x52")
        yield "part-footer-id", _put(d, part.body_end + 1, BE32(0xDEAD))
        yield "start-name", _put(d, start.offset + 6, b"x")
        yield "start-type", _put(d, start.offset, b"\x51")
        yield "start-name-length", _put(d, start.offset + 5, b"\xf3")


def _ram(a: Anatomy) -> Iterator[_Made]:
    d = a.data
    if a.block_list is not None and a.first_length is not None:
        total = int.from_bytes(d[a.block_list : a.block_list + 8], "big")
        yield "ram-total", _put(d, a.block_list, BE64(total | 1 << 62))
        yield "block-length-overflow", _put(d, a.first_length, b"\xff" * 8)
        yield "block-length-zero", _put(d, a.first_length, bytes(8))
        yield "block-name-length", _put(d, a.block_list + 8, b"\xff")
    if a.page is not None:
        word = int.from_bytes(d[a.page : a.page + 8], "big")
        yield "page-address", _put(d, a.page, BE64(0x7FFFFFFFFF000 | word & 0xFFF))
        yield "page-flags", _put(d, a.page, BE64(word | 0x80))
        yield "page-continue", _put(d, a.page, BE64(word | 0x20))
        yield "page-block-name", _put(d, a.page + 9, b"??")
        end = a.parts[0].body_end - 8
        if a.footers:
            yield "page-is-rdma", _put(d, a.page, BE64(0x80))
            yield "eos-lost", d[:end] + d[end + 8 :]


def _foreign(a: Anatomy) -> Iterator[_Made]:
    d = a.data
    noise = random.Random(7).randbytes(1 << 16)
    yield "empty", b""
    yield "one-byte", b"Q"
    yield "magic-only", d[:4]
    yield "random", noise
    yield "random-with-magic", d[:8] + noise
    yield "zeros", bytes(1 << 16)
    yield "header-zeros", d[:8] + bytes(1 << 16)
    yield "elf", b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQ", 4, 62, 1, 0, 64) + bytes(100)
    yield "text", b"no stream at all\n" * 99
    packed = gzip.compress(d, 1, mtime=0)
    yield "gzip-cut", packed[: len(packed) // 2]
    yield "gzip-bomb-like", gzip.compress(d[:8] + bytes(64 << 20), 1, mtime=0)
    libvirt = b"LibvirtQemudSave"
    yield "libvirt-header-only", libvirt + struct.pack("<19I", 2, 1 << 30, 1, 0, 0, *[0] * 14)
    yield "libvirt-bad-format", libvirt + struct.pack("<19I", 2, 64, 1, 99, 0, *[0] * 14) + bytes(64) + d
    yield "qcow2-header-only", b"QFI\xfb" + BE32(3) + bytes(96)
    yield "offset-prefix", bytes(4096) + d
    yield "twice", d + d


def shared_variants(anatomy: Anatomy) -> Iterator[Variant]:
    """The variants of the shared generator; none where it is not there.

    It needs footers and a description.  A few are not what their names say in some streams: those are left
    out, and :func:`variants` has one of that name.
    """
    generator = _shared_generator()
    if generator is None or anatomy.vmdesc is None or not anatomy.footers:
        return
    made: Callable[[bytes, int], Iterator[tuple[str, bytes, str]]] = generator.variants
    for name, data, _ in made(anatomy.data, 1):
        if name == "gzip-cut" and len(data) < 5000:
            continue  # all of it
        if name == "page-flags" and anatomy.page_size <= 0x800:
            continue  # its flag is a bit of the address
        if name.startswith("page-") and anatomy.page is None:
            continue  # the first record is of no page
        variant = make_variant(anatomy, name, data)
        if name == "vmdesc-field-size" and variant.low < 8:
            continue  # the description is written in another style
        yield variant


@functools.cache
def _shared_generator() -> ModuleType | None:
    folder = shared_folder()
    path = None if folder is None else folder.parent / "tools" / "damage.py"
    if path is None or not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("shared_damage", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module
