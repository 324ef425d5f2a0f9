"""Searching real captures: what is found where, in both directions, round the end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest

from qevm.bodies.ram import RamBody
from qevm.capture import Capture
from qevm.problems import QevmError
from qevm.search import Match, Origin, Scope, Search, Step, read_query

Walked = Callable[[str], Capture]


def search(capture: Capture, text: str, scope: Scope = Scope.CAPTURE, device: str = "") -> Search:
    section = capture.find(device)[0] if device else None
    return Search(capture, read_query(text), scope, section)


def matches(steps: object) -> list[Match]:
    return [step.match for step in steps if step.match is not None]  # type: ignore[attr-defined]


def first(found: Search, origin: Origin, *, backward: bool = False) -> Step:
    return next(step for step in found.steps(origin, backward=backward) if step.match is not None)


def names(capture: Capture, found: Search) -> list[str]:
    said = []
    for match in matches(found.all()):
        assert match.section is not None
        field = capture.decode(match.section)
        for number in match.path:
            field = field.children[number]
        assert (field.offset, field.end) == (match.start, match.end)
        said.append(f"{match.section.device_id}: {field.alias or field.name}")
    return said


def test_text_is_found_in_the_whole_capture_and_in_a_device(walked: Walked) -> None:
    capture = walked("arm-microbit")
    data = capture.source.read(0, capture.source.size)
    everywhere = [m.start for m in matches(search(capture, "nrf51").all())]
    assert len(everywhere) == data.count(b"nrf51")
    [timer] = capture.find("nrf51_soc.timer@1")
    inside = [m.start for m in matches(search(capture, "nrf51", Scope.DEVICE, "nrf51_soc.timer@1").all())]
    assert inside == [at for at in everywhere if timer.offset <= at < timer.end]
    assert inside


def test_next_and_previous_go_round(walked: Walked) -> None:
    capture = walked("arm-microbit")
    found = search(capture, "nrf51")
    all_of_them = matches(found.all())
    here = first(found, Origin(all_of_them[1].start))
    assert (here.match, here.wrapped) == (all_of_them[2], False)
    back = first(found, Origin(0, all_of_them[0]), backward=True)
    assert (back.match, back.wrapped) == (all_of_them[-1], True)
    on = first(found, Origin(0, all_of_them[-1]))
    assert (on.match, on.wrapped) == (all_of_them[0], True)
    assert matches(found.steps(Origin(0, all_of_them[1]), backward=True)) == [
        *reversed(all_of_them[:1]),
        *reversed(all_of_them[1:]),
    ]
    inclusive = Origin(all_of_them[1].start, inclusive=True)
    assert first(found, inclusive).match == all_of_them[1]


@pytest.mark.parametrize("text", ["value=0", "field:id", "device:nrf51", "re:nrf51_[a-z]+"])
def test_every_match_comes_once_in_either_direction(walked: Walked, text: str) -> None:
    capture = walked("arm-microbit")
    found = search(capture, text)
    forward = matches(found.all())
    assert len(forward) > 3
    assert [m.order for m in forward] == sorted(m.order for m in forward)
    middle = Origin(0, forward[len(forward) // 2])
    cut = len(forward) // 2
    assert matches(found.steps(middle)) == forward[cut + 1 :] + forward[: cut + 1]
    assert matches(found.steps(middle, backward=True)) == forward[:cut][::-1] + forward[cut:][::-1]


def test_fields_are_found_by_name_and_value(walked: Walked) -> None:
    capture = walked("microvm")
    assert "cpu@0: env.eip" in names(capture, search(capture, "field:eip"))
    [cpu] = capture.find("cpu@0")
    value = next(f for _, f in capture.decode(cpu).walk() if f.alias == "env.eip").value
    assert names(capture, search(capture, f"env.eip={value}")) == ["cpu@0: env.eip"]
    assert names(capture, search(capture, f"rip={value:#x}")) == ["cpu@0: env.eip"]
    assert names(capture, search(capture, f"ENV.E?P<={value}")) == ["cpu@0: env.eip"]
    assert names(capture, search(capture, f"env.eip!={value}")) == []
    assert "cpu@0: env.eip" in names(capture, search(capture, f"value={value}"))


def test_a_number_matches_its_bits_signed_or_not(walked: Walked) -> None:
    capture = walked("microvm")
    unsigned = names(capture, search(capture, "value=0xffffffff"))
    signed = names(capture, search(capture, "value=-1"))
    assert set(unsigned) & set(signed)


def test_in_ram_only_pages_are_searched(walked: Walked) -> None:
    capture = walked("pc-live")
    [ram] = {b for b in (capture.body_of(s) for s in capture.find("ram")) if isinstance(b, RamBody)}
    wanted = bytes.fromhex("00 00 00 08")
    expected = []
    for record in ram.runs:
        if record.length > 1:
            page = capture.source.read(record.payload, record.length)
            at = page.find(wanted)
            while at >= 0:
                expected.append(record.payload + at)
                at = page.find(wanted, at + 1)
    found = search(capture, "hex:00 00 00 08", Scope.RAM)
    assert [m.start for m in matches(found.all())] == expected
    backward = islice(found.steps(Origin(capture.source.size), backward=True), 0, None)
    assert [m.start for m in matches(backward)] == expected[::-1]


def test_in_mapped_ram_only_present_pages_are_searched(walked: Walked) -> None:
    capture = walked("mapped-ram")
    everywhere = matches(search(capture, "hex:55 aa").all())
    [*in_ram] = matches(search(capture, "hex:55 aa", Scope.RAM).all())
    assert in_ram
    assert {m.start for m in in_ram} <= {m.start for m in everywhere}


def test_records_of_ram_are_fields_of_a_smaller_scope(walked: Walked) -> None:
    capture = walked("arm-microbit")
    whole, ram = search(capture, "field:block"), search(capture, "field:block", Scope.RAM)
    assert whole.left_out == "page records only with a smaller scope"
    assert ram.left_out == ""
    assert len(matches(ram.all())) >= len(matches(whole.all()))


def test_what_is_located_is_found_before_it_is_walked(capture_path: Callable[[str], object]) -> None:
    capture = Capture.open(capture_path("microvm"))  # type: ignore[arg-type]
    assert len(capture.index) == 0
    found = search(capture, "field:eip")
    assert found.left_out == "page records only with a smaller scope" or "indexed" in found.left_out
    assert [m.section.device_id for m in matches(found.all()) if m.section] != []
    assert matches(search(capture, "device:cpu").all())
    capture.close()


def test_an_empty_scope_is_refused(capture_path: Callable[[str], object]) -> None:
    capture = Capture.open(capture_path("microvm"))  # type: ignore[arg-type]
    with pytest.raises(QevmError, match="no RAM"):
        search(capture, "abc", Scope.RAM)
    with pytest.raises(QevmError, match="no section"):
        search(capture, "abc", Scope.SECTION)
    capture.close()


def test_matches_near_a_screen_are_told_for_byte_patterns_only(walked: Walked) -> None:
    capture = walked("arm-microbit")
    found = search(capture, "QEVM")
    assert found.near(1, 100) is None
    next(found.all())
    assert found.near(1, 100) == [(0, 4)]
    assert found.near(4, 100) == []
    assert search(capture, "re:QEVM").near(0, 100) is None
    section, path = found.place_of(Match(0, 4))
    assert section is not None
    assert section.kind.name == "HEADER"
    assert path == ()
