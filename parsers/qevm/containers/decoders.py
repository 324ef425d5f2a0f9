"""Decompressors that are fed pieces and yield bounded pieces: gzip, bzip2, xz, zstd, lz4 (containers §11.3).

Files may hold several members (pigz, ``cat a.gz b.gz``), frames or streams one after the other, and zero
padding behind the last.  Optional libraries are looked for when they are needed.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from qevm.problems import CannotOpen

OUTPUT = 1 << 18
"""A decompressor yields at most this many bytes at once, whatever its input says."""

XZ_MEMORY = 136 << 20
"""Memory for an xz dictionary: 64 MiB is the largest of ``xz -9``; the rest of 150 MB is ours."""


class DecodeError(Exception):
    """The compressed data is damaged; what came before is good."""


class Decoder(Protocol):
    """Turns pieces of input into pieces of output."""

    kind: str
    trailing: bytes
    """Bytes behind the end that are neither padding nor a further member; input ends there."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The output for this input, in pieces.  Raises DecodeError."""
        ...

    @property
    def in_the_middle(self) -> bool:
        """More input must come: an end of the file here cuts something off."""
        ...


class Plain:
    """No compression at all: for pipes."""

    def __init__(self, kind: str = "pipe") -> None:
        self.kind = kind
        self.trailing = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The data itself."""
        yield data

    @property
    def in_the_middle(self) -> bool:
        """Any end is an end."""
        return False


class _Member(Protocol):
    """One member's decompressor, as the standard library's are."""

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...


class _Zlib:
    """zlib's decompressor with the manners of the others, and a salvage of the piece that fails."""

    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits)

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        pending = self._zlib.unconsumed_tail + data
        # A state is 40 KB: with a copy from before the failing call its good half can be had.
        before = self._zlib.copy()
        try:
            return self._zlib.decompress(pending, max(max_length, 0))
        except zlib.error as error:
            raise _BrokenError(str(error), _salvage(before, pending)) from error

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data


def _salvage(state: Any, data: bytes) -> bytes:
    good = bytearray()
    for i in range(len(data)):
        if len(good) >= OUTPUT:
            break
        try:
            good += state.decompress(data[i : i + 1])
        except zlib.error:
            break
    return bytes(good)


class _BrokenError(Exception):
    """A member's data is damaged; ``good`` is what the failing piece still gave."""

    def __init__(self, why: str, good: bytes = b"") -> None:
        super().__init__(why)
        self.good = good


class Members:
    """A sequence of members of one format, each begun by one of ``magics`` and read by ``make``."""

    def __init__(
        self,
        kind: str,
        magics: Callable[[bytes], bool | None],
        make: Callable[[], _Member],
        errors: tuple[type[BaseException], ...],
        piece: int = 1 << 30,
    ) -> None:
        self.kind = kind
        self.trailing = b""
        self._begins = magics
        self._make = make
        self._errors = errors
        self._piece = piece
        self._member: _Member | None = make()
        self._carry = b""

    @property
    def in_the_middle(self) -> bool:
        """A member has begun and not ended."""
        return self._member is not None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Output of this input."""
        if self._piece >= len(data):
            yield from self._feed(data)
        else:
            for i in range(0, len(data), self._piece):
                yield from self._feed(data[i : i + self._piece])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while not self.trailing:
            if self._member is None:
                data = (self._carry + data).lstrip(b"\0")
                begins = self._begins(data)
                if begins is None:
                    self._carry = data
                    return
                self._carry = b""
                if not begins:
                    self.trailing = data
                    return
                self._member = self._make()
            yield from self._inflate(self._member, data)
            if not self._member.eof:
                return
            data = self._member.unused_data or b""  # python-lz4 says None for nothing
            self._member = None

    def _inflate(self, member: _Member, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = member.decompress(data, OUTPUT)
            except _BrokenError as error:
                if error.good:
                    yield error.good
                raise DecodeError(f"damaged {self.kind} data: {error}") from error
            except self._errors as error:
                if "emory" in str(error):  # liblzma's limit, or an allocation of libzstd that failed
                    raise DecodeError(
                        f"its dictionary needs more memory than qevm gives it; unpack it with {self.kind} -d"
                    ) from error
                raise DecodeError(f"damaged {self.kind} data: {error}") from error
            if piece:
                yield piece
            data = b""
            # A full piece may hide more: only an empty hand and "needs input" is the end.
            if member.eof or (member.needs_input and len(piece) < OUTPUT):
                return


def _starts(magic: bytes) -> Callable[[bytes], bool | None]:
    """A test for one magic: True, False, or None while too few bytes are there to tell."""

    def test(data: bytes) -> bool | None:
        if len(data) < len(magic):
            return None if magic.startswith(data) else False
        return data.startswith(magic)

    return test


def _frames(magic: bytes) -> Callable[[bytes], bool | None]:
    """As :func:`_starts`, for zstd and lz4: skippable frames ``5x 2a 4d 18`` belong to both."""
    own = _starts(magic)

    def test(data: bytes) -> bool | None:
        if data[:1] and 0x50 <= data[0] <= 0x5F:
            return _starts(b"\x2a\x4d\x18")(data[1:4])
        return own(data)

    return test


def gzip() -> Decoder:
    """Gzip: members with CRC-32 and length checked."""
    return Members("gzip", _starts(b"\x1f\x8b"), lambda: _Zlib(31), (zlib.error,))


def bzip2() -> Decoder:
    """Bzip2, several streams too (pbzip2)."""
    return Members("bzip2", _starts(b"BZh"), bz2.BZ2Decompressor, (OSError, ValueError, EOFError))


def xz() -> Decoder:
    """Xz; dictionaries up to XZ_MEMORY."""

    def make() -> _Member:
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    return Members("xz", _starts(b"\xfd7zXZ\0"), make, (lzma.LZMAError, EOFError))


def _import(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def zstd() -> Decoder:
    """Zstd with windows of up to 2 GiB (``--long=31``).

    By ``compression.zstd``, ``backports.zstd`` or ``zstandard``, whichever is there.  The first two have
    the standard library's bounded interface; with ``zstandard`` the input goes in crumbs, since four bytes
    can say 128 KiB.  Raises CannotOpen when none is installed.
    """
    module = _import("compression.zstd", "backports.zstd")
    begins = _frames(b"\x28\xb5\x2f\xfd")
    if module is not None:
        options = {module.DecompressionParameter.window_log_max: 31}
        errors = (module.ZstdError, EOFError)
        return Members("zstd", begins, lambda: module.ZstdDecompressor(options=options), errors)
    module = _import("zstandard")
    if module is None:
        raise CannotOpen(
            "this is a zstd file: to open it, pip install 'qevm[zstd]' (or unpack it with zstd -d)"
        )
    return Members("zstd", begins, lambda: _Zstandard(module), (module.ZstdError,), piece=1024)


class _Zstandard:
    """python-zstandard with the manners of the others."""

    def __init__(self, module: Any) -> None:
        self._object = module.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
        self._left = b""

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        if not self._left:
            self._left = self._object.decompress(data) if data else b""
        cut = len(self._left) if max_length < 0 else max_length
        piece, self._left = self._left[:cut], self._left[cut:]
        return piece

    @property
    def eof(self) -> bool:
        return bool(self._object.eof) and not self._left

    @property
    def needs_input(self) -> bool:
        return not self._left

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data)


def lz4() -> Decoder:
    """LZ4 frames.  Raises CannotOpen when python-lz4 is not installed."""
    module = _import("lz4.frame")
    if module is None:
        raise CannotOpen("this is a lz4 file: to open it, pip install 'qevm[lz4]' (or unpack it with lz4 -d)")
    return Members(
        "lz4", _frames(b"\x04\x22\x4d\x18"), module.LZ4FrameDecompressor, (RuntimeError, EOFError, ValueError)
    )


def lzop() -> Decoder:
    """Lzop, with an own reader of LZO1X."""
    from qevm.containers.lzop import LzopDecoder

    return LzopDecoder()


MAKERS: dict[str, Callable[[], Decoder]] = {
    "gzip": gzip,
    "bzip2": bzip2,
    "xz": xz,
    "lzop": lzop,
    "zstd": zstd,
    "lz4": lz4,
}
"""The formats by the names that libvirt uses too (``save_image_format``)."""
