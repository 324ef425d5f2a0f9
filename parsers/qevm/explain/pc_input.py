"""Keyboard and mouse: 8042 ``pckbd``, PS/2 devices, VMware mouse (device-facts §5)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Struct
from qevm.field import Field

_STATUS = r.bits(
    Bit(0, "OBF", text="output buffer full"), Bit(1, "IBF"), Bit(2, "self-test-passed"),
    Bit(3, "command"), Bit(4, "unlocked"), Bit(5, "mouse-OBF"), Bit(6, "timeout"), Bit(7, "parity-error"),
)  # fmt: skip
_MODE = r.bits(
    Bit(0, "keyboard-IRQ"), Bit(1, "mouse-IRQ"), Bit(2, "system"), Bit(3, "no-keylock"),
    Bit(4, "keyboard-disabled"), Bit(5, "mouse-disabled"), Bit(6, "translate"),
)  # fmt: skip
_PENDING = r.bits(Bit(0, "keyboard"), Bit(1, "mouse"), empty="nothing pending")
_COMMANDS = {
    0: "none", 0x60: "write mode", 0xD1: "write output port", 0xD2: "write keyboard output",
    0xD3: "write mouse output", 0xD4: "write to mouse",
}  # fmt: skip


def _ps2_queue(item: Field, _: ExplainContext) -> None:
    """The bytes queued for the guest: from rptr, ``count`` of them, round a ring of 256."""
    data, start = item.child("queue.data"), r.value_of(item, "queue.rptr")
    count = r.value_of(item, "queue.count")
    if data is None or not isinstance(data.value, bytes) or start is None or count is None:
        return
    size = len(data.value)
    if not 0 <= count <= size or not size:
        data.problem = data.problem or f"count {count} of a ring of {size}"
        return
    queued = bytes(data.value[(start + i) % size] for i in range(count))
    text = f"{r.plural(count, 'byte')} queued" + (f": {queued[:16].hex(' ')}" if queued else "")
    r.add_meaning(data, text)
    r.add_meaning(item, text)


def _summary(item: Field, _: ExplainContext) -> None:
    common = next((child for child in item.children if child.vmsd == "PS2 Common State"), None)
    if common is not None:
        r.add_meaning(item, common.meaning)


def _vmmouse(item: Field, _: ExplainContext) -> None:
    used = r.value_of(item, "nb_queue")
    if used is not None:
        mode = "absolute" if r.value_of(item, "absolute") else "relative"
        r.add_meaning(item, f"{mode}, {r.plural(used, 'word')} queued")


STRUCTS = (
    Struct(
        "PS2 Common State",
        {
            "write_cmd": r.shown(
                lambda n: "none" if n == 0xFFFFFFFF else f"waits for the argument of {n:#04x}"
            ),
            "queue.rptr": r.say("next byte the guest reads"),
            "queue.wptr": r.say("next byte to fill"),
            "queue.count": r.say("bytes queued for the guest"),
        },
        after=_ps2_queue,
    ),
    Struct(
        "ps2kbd",
        {
            "scan_enabled": r.yes_no("scanning", "scanning off"),
            "translate": r.yes_no("the 8042 translates to set 1", "no translation"),
        },
        after=_summary,
    ),
    Struct("ps2kbd/ledstate", {"ledstate": r.bits(*r.one_bits("scroll num caps"), empty="all LEDs off")}),
    Struct(
        "ps2mouse",
        {
            "mouse_status": r.bits(Bit(4, "2:1-scaling"), Bit(5, "enabled"), Bit(6, "remote")),
            "mouse_resolution": r.shown(lambda n: f"{1 << n} counts/mm" if n < 4 else ""),
            "mouse_sample_rate": r.shown(lambda n: f"{n} samples/s"),
            "mouse_type": r.words({0: "standard PS/2", 3: "IntelliMouse", 4: "5-button"}),
            "mouse_buttons": r.bits(*r.one_bits("left right middle side extra"), empty="no button pressed"),
        },
        after=_summary,
    ),
    Struct(
        "pckbd",
        {
            "write_cmd": r.words(_COMMANDS),
            "status": _STATUS,
            "mode": _MODE,
            "pending_tmp": _PENDING,
        },
        after=lambda item, _: _summary_kbd(item),
    ),
    Struct(
        "vmmouse",
        {
            "nb_queue": r.say("words queued"),
            "status": r.say_if(0xFFFF, "disabled by an error"),
            "absolute": r.yes_no("absolute coordinates", "relative movement"),
        },
        after=_vmmouse,
    ),
    Struct(
        "HIDKeyboardDevice",
        {
            "kbd.modifiers": r.bits(
                *r.one_bits("LCtrl LShift LAlt LGUI RCtrl RShift RAlt RGUI"), empty="no modifier pressed"
            ),
            "kbd.leds": r.bits(*r.one_bits("num caps scroll compose kana"), empty="all LEDs off"),
            "kbd.keys": r.say("keys pressed"),
            "protocol": r.words({0: "boot protocol", 1: "report protocol"}),
            "idle": r.shown(lambda n: f"report every {4 * n} ms" if n else "report on change"),
            "n": r.say("events queued"),
        },
    ),
    Struct(
        "HIDPointerDevice",
        {
            "protocol": r.words({0: "boot protocol", 1: "report protocol"}),
            "idle": r.shown(lambda n: f"report every {4 * n} ms" if n else "report on change"),
            "n": r.say("events queued"),
        },
    ),
    Struct(
        "HIDPointerEventQueue",
        {"buttons_state": r.bits(*r.one_bits("left right middle side extra"))},
    ),
)


def _summary_kbd(item: Field) -> None:
    for child in item.children:
        if child.type == "struct" and child.vmsd == "pckbd":
            r.add_meaning(item, child.meaning)
    mode = item.child("mode")
    if mode is not None:
        r.add_meaning(item, mode.meaning)
