"""The JSON description: its rules, and that nothing in it can harm the reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm.problems import Severity
from qevm.source import BytesSource
from qevm.tail import find_description
from qevm.vmdesc import MAX_JSON, BadDescription, parse, parse_partial


def described(fields: str = "[]", extra: str = "") -> bytes:
    """A description of one device ``d`` with these fields, as QEMU writes it."""
    return (
        '{"page_size": 4096, "devices": [{"name": "d", "instance_id": 0, "vmsd_name": "d", "version": 1, '
        f'"fields": {fields}{extra}}}]}}'
    ).encode()


def field(**keys: object) -> str:
    return json.dumps([{"name": "x", "type": "uint8", "size": 1} | keys])


def test_length_is_the_sum_of_fields_and_of_subsections_with_their_headers():
    subsections = (
        ', "subsections": [{"vmsd_name": "d/sub", "version": 1, "fields": '
        '[{"name": "y", "type": "uint64", "size": 8}]}]'
    )
    description = parse(described(field(array_len=5, size=4, type="uint32"), subsections))
    # 5 × 4, and 05, a length byte, "d/sub", be32 version, 8 bytes of field.
    assert description.devices[0].length == 20 + 1 + 1 + 5 + 4 + 8


def test_a_list_repeats_the_nested_description_under_the_same_keys():
    text = (
        '[{"name": "list", "type": "qtailq", "size": 4, '
        '"vmsd_name": "node", "version": 1, "fields": [{"name": "a", "type": "uint8", "size": 1}], '
        '"vmsd_name": "node", "version": 2, "fields": []}]'
    )
    (entry,) = parse(described(text)).devices[0].vmsd.fields
    assert [(vmsd.name, vmsd.version, len(vmsd.fields)) for vmsd in entry.inline] == [
        ("node", 1, 1),
        ("node", 2, 0),
    ]


def test_a_legacy_device_counts_its_size_once():
    legacy = (
        b'{"page_size": 4096, "devices": [{"name": "slirp", "instance_id": 0, "size": 27, '
        b'"fields": [{"name": "data", "size": 27, "type": "buffer"}]}]}'
    )
    (device,) = parse(legacy).devices
    assert device.legacy
    assert device.length == 27


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'{"page_size": 4096}',
        b'{"devices": {}}',
        b'{"page_size": 4096, "devices": [1]}',
        b'{"page_size": 4095, "devices": []}',
        b'{"page_size": true, "devices": []}',
        b'{"page_size": 4096, "devices": [{"instance_id": 0}]}',
        b'{"page_size": 4096, "devices": [{"name": "d", "instance_id": -1}]}',
        b'{"page_size": 4096, "devices": [{"name": 7, "instance_id": 0}]}',
        b'{"page_size": 4096, "devices": [{"name": "\xff", "instance_id": 0}]}',
        described('{"name": "x"}'),
        described('[{"name": "x"}]'),
        described("[3]"),
        described(field(size=-1)),
        described(field(size=1 << 62)),
        described(field(size=1e300)),
        described(field(size="1")),
        described(field(size=None)),
        described(field(array_len=1 << 40)),
        described(field(array_len=[])),
        described(field(struct=[])),
        described(field(struct={"fields": {}})),
        described(field(size=float("nan"))),
        described(field(size=float("inf"))),
        described("[]", ', "version": 1.5'),
        described("[]", ', "subsections": "x"'),
        described("[")[:-1],
    ],
)
def test_what_qemu_cannot_have_written_is_refused_in_words(text: bytes):
    with pytest.raises(BadDescription, match=r"\w"):
        parse(text)


@pytest.mark.parametrize("depth", [200, 5_000, 200_000])
@pytest.mark.parametrize(
    "nested",
    [
        lambda n: b'{"devices": ' + b"[" * n + b"]" * n + b"}",
        lambda n: described("[" * n + "]" * n),
        lambda n: described(
            '[{"name":"x","type":"struct","size":1,"struct":{"fields":' * n + "[]" + "}}]" * n
        ),
        lambda n: described('[{"name":"x","type":"tmp","size":1,"fields":' * n + "[]" + "}]" * n),
        lambda n: described("[]", ', "subsections": [{"fields": []' * n + "}]" * n),
    ],
    ids=["devices", "fields", "structs", "inline", "subsections"],
)
def test_a_nesting_bomb_is_refused(nested: Callable[[int], bytes], depth: int):
    with pytest.raises(BadDescription):
        parse(nested(depth))


def test_too_much_json_is_refused_before_it_is_read():
    with pytest.raises(BadDescription, match="more than"):
        parse(b" " * (MAX_JSON + 1))


def test_digits_without_end_are_refused():
    with pytest.raises(BadDescription):
        parse(described(f'[{{"name": "x", "type": "uint8", "size": {"9" * 10_000}}}]'))


def test_a_description_cut_anywhere_keeps_the_devices_before_the_cut(walked):
    capture = walked("none-machine")
    whole = capture.description
    raw = capture.source.read(whole.offset + 5, whole.json_size)
    names = [device.name for device in whole.devices]
    ends = [0]
    for device in json.loads(raw)["devices"]:
        ends.append(raw.index(json.dumps(device).encode(), ends[-1]) + len(json.dumps(device)))
    for cut in range(0, len(raw), 7):
        there = sum(end <= cut for end in ends[1:])
        if there == 0:
            with pytest.raises(BadDescription):
                parse_partial(raw[:cut])
        else:
            partial = parse_partial(raw[:cut])
            assert not partial.complete
            assert [device.name for device in partial.devices] == names[:there]


@given(st.binary(max_size=300) | st.text(alphabet='{}[]",: \\0deviceszname1', max_size=300).map(str.encode))
def test_any_bytes_are_a_description_or_refused(raw: bytes):
    for read in (parse, parse_partial):
        try:
            read(raw)
        except BadDescription as error:
            message = str(error)
        else:
            continue
        assert message


def test_a_length_that_holds_a_brace_is_found():
    padding = 0x7B10 - len(described())
    text = described()[:-1] + b" " * padding + b"}"
    assert len(text) == 0x7B10
    stream = b"QEVM\0\0\0\3\0\6" + len(text).to_bytes(4, "big") + text
    found = find_description(BytesSource(stream))
    assert found is not None
    assert (found.offset, found.problem) == (9, "")


def test_padding_behind_the_description_does_not_hide_it(capture_path: Callable[[str], Path]):
    data = capture_path("none-machine").read_bytes()
    plain = find_description(BytesSource(data))
    for padding in (b"\0" * 511, b"\n", b"\r\n\0\0"):
        found = find_description(BytesSource(data + padding))
        assert found is not None
        assert (found.offset, found.trailing) == (plain.offset, len(padding))


def test_an_older_stream_inside_guest_memory_is_not_taken_for_the_end(capture_path, tmp_path: Path):
    # A guest that holds a whole stream with its description in RAM; the outer one has none.
    from qevm.capture import Capture

    inner = capture_path("none-machine").read_bytes()
    outer = capture_path("pc-no-vmdesc").read_bytes()
    page = outer.index(b"\0" * 4096, 1000)
    page += -page % 8
    forged = outer[:page] + inner + outer[page + len(inner) :]
    path = tmp_path / "nested.bin"
    path.write_bytes(forged)
    capture = Capture.open(path)
    capture.walk_all()
    assert capture.description is None
    assert all(problem.severity is Severity.NOTE for problem in capture.problems)
