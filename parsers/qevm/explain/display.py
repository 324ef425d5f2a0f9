"""Displays: VGA, Cirrus, framebuffers (device-facts §5).  Video memory is a RAM block of its own."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Rule, Struct
from qevm.explain.window import Window
from qevm.field import Field

_SEQUENCER = ("reset", "clocking mode", "plane mask", "character map", "memory mode")
_GRAPHICS = (
    "set/reset", "enable set/reset", "colour compare", "data rotate", "read plane", "mode",
    "miscellaneous", "colour don't care", "bit mask",
)  # fmt: skip
_CRTC = (
    "horizontal total", "horizontal display end", "horizontal blank start", "horizontal blank end",
    "horizontal retrace start", "horizontal retrace end", "vertical total", "overflow", "preset row",
    "maximum scan line", "cursor start", "cursor end", "start address high", "start address low",
    "cursor high", "cursor low", "vertical retrace start", "vertical retrace end",
    "vertical display end", "offset", "underline", "vertical blank start", "vertical blank end",
    "mode control", "line compare",
)  # fmt: skip
_ATTRIBUTES = (
    *(f"palette {i}" for i in range(16)), "mode control", "overscan colour", "plane enable", "pixel panning",
    "colour select",
)  # fmt: skip
_VBE = ("ID", "XRES", "YRES", "BPP", "ENABLE", "BANK", "VIRT_WIDTH", "VIRT_HEIGHT", "X_OFFSET", "Y_OFFSET")
_VBE_ENABLE = r.bits(
    Bit(0, "enabled"), Bit(1, "get-capabilities"), Bit(5, "8-bit-DAC"), Bit(6, "linear"), Bit(7, "no-clear")
)


def _indexed(prefix: str, labels: tuple[str, ...]) -> Rule:
    """A buffer of registers, one byte each, named by index."""

    def rule(item: Field, context: ExplainContext) -> None:
        data = item.value
        if not isinstance(data, bytes):
            return
        w = Window(data, item.offset, context)
        count = min(len(labels), len(data))
        fields = [w.number(f"{prefix}{i:02x} {labels[i]}", i, 1) for i in range(count)]
        item.children = w.tiled(fields, 0, len(data), "more registers")

    return rule


def _vbe_mode(item: Field, _: ExplainContext) -> None:
    registers = item.child("vbe_regs")
    values = [] if registers is None else [r.number(child) or 0 for child in registers.children]
    if len(values) >= 5 and values[4] & 1:
        r.add_meaning(item, f"VBE {values[1]}×{values[2]}, {values[3]} bits a pixel")
        return
    misc, control = item.child("gr"), item.child("cr")
    graphics = (
        misc is not None and isinstance(misc.value, bytes) and len(misc.value) > 6 and misc.value[6] & 1
    )
    if control is not None:
        r.add_meaning(item, "VGA graphics mode" if graphics else "VGA text mode")


def _outer(item: Field, _: ExplainContext) -> None:
    for child in item.children:
        if child.type == "struct" and child.vmsd in ("vga", "cirrus_vga"):
            r.add_meaning(item, child.meaning)


def _registers(prefix: str) -> dict[str, Rule]:
    return {
        f"{prefix}sr": r.label("sequencer registers", _indexed("SR", _SEQUENCER)),
        f"{prefix}gr": r.label("graphics registers", _indexed("GR", _GRAPHICS)),
        f"{prefix}cr": r.label("CRT controller registers", _indexed("CR", _CRTC)),
        f"{prefix}ar": r.label("attribute registers", _indexed("AR", _ATTRIBUTES)),
        f"{prefix}palette": r.label("palette", r.say("256 × red, green, blue of 6 bits")),
        f"{prefix}msr": r.label("miscellaneous output"),
        f"{prefix}ar_flip_flop": r.yes_no("next write is data", "next write is an index"),
    }


STRUCTS = (
    Struct(
        "vga",
        {
            **_registers(""),
            "vbe_regs": r.label("VBE registers", r.names(*_VBE, rules={"ENABLE": _VBE_ENABLE})),
        },
        requires=("cr",),
        after=_vbe_mode,
    ),
    Struct("vga", requires=("vga",), after=_outer),
    Struct(
        "cirrus_vga",
        {**_registers("vga."), "cirrus_hidden_dac_data": r.label("hidden DAC")},
        requires=("vga.cr",),
    ),
    Struct("bcm2835-fb", {"config.base": r.address}),
    Struct("tcx", {"r": r.say("red palette"), "g": r.say("green palette"), "b": r.say("blue palette")}),
)
