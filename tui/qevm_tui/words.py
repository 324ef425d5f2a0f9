"""Numbers and section names as a person reads them."""

from __future__ import annotations

from qevm.problems import Problem
from qevm.safetext import safe
from qevm.section import Confidence, Section, SectionKind

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

_CONFIDENCE_SIGNS = {
    Confidence.EXACT: "",
    Confidence.VERIFIED_TAIL: "~tail",
    Confidence.FOOTER_BOUNDED: "~footer",
    Confidence.GUESSED: "~guessed",
    Confidence.UNKNOWN: "~unknown",
    Confidence.CONFLICTING: "~conflict",
}


def human(size: int) -> str:
    """A size in binary units, four significant characters at most: ``24 B``, ``1.9 KiB``."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in _UNITS:
        if value < 1023.95:
            return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
        value /= 1024
    return f"{size:,} B"


def plural(count: int, word: str) -> str:
    """``1 section``, ``2 sections``, ``1,024 sections``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def confidence_sign(confidence: Confidence) -> str:
    """How the tree marks an extent that is not exact; empty when it is."""
    return _CONFIDENCE_SIGNS[confidence]


def section_name(section: Section | None, shared_idstr: bool = True) -> str:
    """What a section is called: its device id, or its kind where no device is.

    ``shared_idstr`` tells whether other instances exist; without them ``@0`` is left out.
    """
    if section is None:
        return "outside every section"
    if section.idstr is None:
        return section.kind.name
    if shared_idstr or section.instance_id:
        return safe(section.device_id)
    return safe(section.idstr)


def chunk_name(section: Section) -> str:
    """``START``, ``PART 3``, ``END``, ``FULL`` …"""
    if section.kind is SectionKind.PART:
        return f"PART {section.chunk}"
    return section.kind.name


def duration(seconds: float) -> str:
    """A remaining time: ``12 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def problem_text(problem: Problem) -> str:
    """One line that says where, what was expected, what was found."""
    return safe(str(problem))
