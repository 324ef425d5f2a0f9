"""The numbers of the format: magics, section types, commands, RAM flags (stream-format §1, §2, §5, §9).

They stand apart from ``layout`` because a listing needs them and not the declarations.
"""

from __future__ import annotations

import enum

MAGIC = b"QEVM"
VERSION = 3
FOOTER_MAGIC = 0x7E


class SectionType(enum.IntEnum):
    """The type byte of a section (§2.1)."""

    EOF = 0
    START = 1
    PART = 2
    END = 3
    FULL = 4
    SUBSECTION = 5
    VMDESCRIPTION = 6
    CONFIGURATION = 7
    COMMAND = 8
    FOOTER = 0x7E


class Command(enum.IntEnum):
    """The command number of a COMMAND section (§9.1)."""

    INVALID = 0
    OPEN_RETURN_PATH = 1
    PING = 2
    POSTCOPY_ADVISE = 3
    POSTCOPY_LISTEN = 4
    POSTCOPY_RUN = 5
    POSTCOPY_RAM_DISCARD = 6
    PACKAGED = 7
    ENABLE_COLO = 8
    POSTCOPY_RESUME = 9
    RECV_BITMAP = 10
    SWITCHOVER_START = 11


class RamFlag(enum.IntFlag):
    """The flags in the low bits of a RAM record's be64 (§5.1)."""

    FULL = 0x001
    ZERO = 0x002
    MEM_SIZE = 0x004
    PAGE = 0x008
    EOS = 0x010
    CONTINUE = 0x020
    XBZRLE = 0x040
    HOOK = 0x080
    COMPRESS_PAGE = 0x100
    MULTIFD_FLUSH = 0x200
