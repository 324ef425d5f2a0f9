"""The CPU registers shown are those that QEMU's ``info registers`` told."""

from __future__ import annotations

import re
from collections.abc import Callable

import oracles
import pytest
from devices import at, unsigned, value, with_answers
from examples import Example

from qevm.field import Field

Devices = Callable[[Example], dict[str, Field]]


def _cpu(devices: dict[str, Field], number: int) -> Field | None:
    return devices.get(f"cpu@{number}")


def _x86(text: str, cpu: Field) -> int:
    wide = at(cpu, "general registers").type.startswith("uint64")
    seen = 0
    shown = {
        **oracles.pairs(text, r"\b([ER][A-Z]{2}|R\d+ ?)=([0-9a-f]+)"),
        **oracles.pairs(text, r"(R[89]) =([0-9a-f]+)"),
    }
    for name, expected in shown.items():
        name = name.strip()
        digits = re.search(rf"\b{name} ?=([0-9a-f]+)", text)
        assert digits is not None
        mask = (1 << 4 * len(digits[1])) - 1
        prefix = "R" if wide else "E"
        if name[1:] == "IP":
            found = unsigned(cpu, prefix + "IP")
        elif name[1:] == "FL":
            found = unsigned(cpu, prefix + "FLAGS")
        else:
            ours = name if name[1:].isdigit() else prefix + name[1:]
            found = unsigned(cpu, "general registers", ours)
        assert found & mask == expected, name
        seen += 1
    for name, selector, base, limit, flags in re.findall(
        r"^([A-Z]{2,3}) ?=([0-9a-f]{4}) ([0-9a-f]+) ([0-9a-f]{8}) ([0-9a-f]{8})", text, flags=re.MULTILINE
    ):
        segment = at(cpu, name) if name in ("LDT", "TR") else at(cpu, "segment registers", name)
        parts = [unsigned(segment, part) for part in ("selector", "base", "limit", "flags")]
        # The monitor leaves out the base bits that the descriptor's high dword holds as well.
        parts[3] &= 0x00FFFF00
        assert parts == [int(part, 16) for part in (selector, base, limit, flags)], name
        seen += 1
        kind = re.search(rf"^{name} ?=.*DPL=(\d) (\S+)", text, flags=re.MULTILINE)
        if kind is not None:
            words = _X86_KINDS.get(kind[2], ())
            assert f"DPL {kind[1]}" in segment.meaning
            assert all(word in segment.meaning for word in words), (segment.meaning, kind[2])
    for name, base, limit in re.findall(r"^(GDT|IDT)= +([0-9a-f]+) ([0-9a-f]{8})", text, flags=re.MULTILINE):
        assert (unsigned(cpu, name, "base"), unsigned(cpu, name, "limit")) == (int(base, 16), int(limit, 16))
        seen += 1
    for name, expected in oracles.pairs(text, r"\b(CR[0234]|EFER|FCW|FSW|FTW|MXCSR)=([0-9a-f]+)").items():
        if name == "EFER" and not wide:
            continue  # the 32-bit emulator does not save it
        assert unsigned(cpu, name) == expected, name
        seen += 1
    for name, expected in oracles.pairs(text, r"\b(DR[0-7])=([0-9a-f]+)").items():
        assert unsigned(cpu, "debug registers", name) == expected, name
        seen += 1
    for name, mantissa, exponent in re.findall(r"\b(FPR\d)=([0-9a-f]{16}) ([0-9a-f]{4})", text):
        register = at(cpu, "x87 registers", name)
        assert unsigned(register, "tmp", "mantissa") == int(mantissa, 16)
        assert unsigned(register, "tmp", "sign and exponent") == int(exponent, 16)
        assert register.meaning.endswith(f"({exponent} {mantissa})")
        seen += 1
    for number, high, low in re.findall(r"\bXMM(\d\d)=([0-9a-f]{16}) ([0-9a-f]{16})", text):
        assert at(cpu, "XMM", f"XMM{int(number)}").meaning == high + low
        seen += 1
    for number, *words in re.findall(r"\bYMM(\d\d)=" + " ".join(["([0-9a-f]{16})"] * 4), text):
        assert at(cpu, "YMM registers", f"YMM{int(number)}").meaning == "".join(words)
        seen += 1
    mode = cpu.meaning
    level = re.search(r"CPL=(\d)", text)
    assert level is not None
    assert f"CPL {level[1]}" in mode
    assert ("64-bit mode" in mode) == ("CS64" in text)
    assert ("protected mode" in mode) == ("CS32" in text)
    assert "A20 on" in at(cpu, "A20 mask").meaning or "A20=0" in text
    return seen


_X86_KINDS = {
    "CS64": ("64-bit", "code"), "CS32": ("32-bit", "code"), "CS16": ("16-bit", "code"), "DS": ("data",),
    "DS16": ("16-bit", "data"), "LDT": ("LDT",), "TSS32-busy": ("TSS busy",), "TSS64-busy": ("TSS busy",),
}  # fmt: skip


def _arm(text: str, cpu: Field) -> int:
    seen = 0
    for name, expected in oracles.pairs(text, r"\b(X\d\d|SP|PC|PSTATE)=([0-9a-f]+)").items():
        if name in ("PC", "PSTATE"):
            assert unsigned(cpu, name) == expected, name
        else:
            ours = f"X{int(name[1:])}" if name[0] == "X" else name
            assert unsigned(cpu, "AArch64 registers", ours) == expected, name
        seen += 1
    level = re.search(r"PSTATE=\S+ (\S+) (EL\d)([ht])", text)
    if level is not None:
        assert f"AArch64 {level[2]}{level[3]}" in cpu.meaning
        flags = at(cpu, "PSTATE").meaning.split()
        assert [flag for flag in level[1] if flag != "-"] == [flag for flag in flags if flag in "NZCV"]
    for name, expected in oracles.pairs(text, r"\bR(\d\d)=([0-9a-f]{8})").items():
        ours = {13: "SP", 14: "LR", 15: "PC"}.get(int(name), f"R{int(name)}")
        assert unsigned(cpu, "AArch32 registers", ours) == expected, name
        seen += 1
    for name, expected in oracles.pairs(text, r"\b(PSR|XPSR)=([0-9a-f]{8})").items():
        assert unsigned(cpu, "CPSR" if name == "PSR" else "XPSR") == expected
        seen += 1
    mode = re.search(r"\bPSR=\S+ \S+ (?:NS |S )?\w ([a-z]{3})\d\d", text)
    if mode is not None:
        assert f"AArch32 {mode[1]} mode" in cpu.meaning
    vfp = cpu.child("cpu/vfp")
    for number, high, low in re.findall(r"\bQ(\d\d)=([0-9a-f]{16}):([0-9a-f]{16})", text):
        assert vfp is not None
        assert at(vfp, f"V{int(number)}").meaning.endswith(high + low)
        seen += 1
    for number, expected in oracles.pairs(text, r"\bd(\d\d)=([0-9a-f]{16})").items():
        index = int(number)
        assert vfp is not None
        if index < 32:
            halves = at(vfp, f"V{index // 2}").children
            assert unsigned(halves[index % 2]) == expected
            seen += 1
    return seen


def _riscv(text: str, cpu: Field) -> int:
    seen = 0
    hypervisor = cpu.child("cpu/hyper")
    for name, digits in re.findall(r"(\S+) +([0-9a-f]{16})", text):
        expected = int(digits, 16)
        base = name.partition("/")[2]
        if base:
            group = "integer registers" if name[0] == "x" else "floating-point registers"
            assert unsigned(cpu, group, base) == expected, name
        elif cpu.child(name) is not None:
            assert unsigned(cpu, name) == expected, name
        elif hypervisor is not None and hypervisor.child(name) is not None:
            if name != "vsstatus" and name != "hstatus":
                assert unsigned(hypervisor, name) == expected, name
        elif name == "fcsr":
            continue
        else:
            pytest.fail(f"{name} is not shown")
        seen += 1
    return seen


def _ppc(text: str, cpu: Field) -> int:
    seen = 0
    for register, pattern in (("general registers", "GPR"), ("floating-point registers", "FPR")):
        expected = oracles.rows(text, pattern)
        holder = cpu if pattern == "GPR" else at(cpu, "cpu/fpu")
        for number, one in enumerate(expected):
            item = at(holder, register).children[number]
            raw = item.value if isinstance(item.value, int) else int.from_bytes(item.value, "big")
            assert raw == one, (pattern, number)
            seen += 1
    for name, expected in oracles.pairs(text, r"\b(NIP|MSR) +([0-9a-f]+)").items():
        assert unsigned(cpu, name) == expected, name
    names = "LR|CTR|XER|SRR0|SRR1|PVR|SPRG[0-7]|CFAR|LPCR|DAR|DSISR|SDR1|HID0|HSRR0|HSRR1|PTCR|VRSAVE"
    named = rf"\b({names}) +([0-9a-f]+)\b"
    special = at(cpu, "SPR")
    for name, expected in oracles.pairs(text, named).items():
        assert unsigned(special, name) == expected, name
        seen += 1
    condition = re.search(r"^CR ([0-9a-f]{8})", text, flags=re.MULTILINE)
    assert condition is not None
    assert at(cpu, "CR").meaning == condition[1]
    return seen


def _s390x(text: str, cpu: Field) -> int:
    psw = re.search(r"PSW=mask ([0-9a-f]{16}) addr ([0-9a-f]{16})", text)
    assert psw is not None
    # QEMU computes the condition code (bits 45:44) for the monitor but does not save it under TCG.
    code = 3 << 44
    assert unsigned(cpu, "PSW mask") & ~code == int(psw[1], 16) & ~code
    assert unsigned(cpu, "PSW address") == int(psw[2], 16)
    seen = 2
    for name, expected in oracles.pairs(text, r"\bR(\d\d)=([0-9a-f]{16})").items():
        assert unsigned(cpu, "general registers", f"R{int(name)}") == expected
        seen += 1
    for name, expected in oracles.pairs(text, r"\bC(\d\d)=([0-9a-f]{16})").items():
        assert unsigned(cpu, "control registers", f"CR{int(name)}") == expected
        seen += 1
    for name, expected in oracles.pairs(text, r"\bF(\d\d)=([0-9a-f]{16})").items():
        assert unsigned(cpu, "cpu/fpu", f"F{int(name)}") == expected
        seen += 1
    for number, digits in re.findall(r"\bV(\d\d)=([0-9a-f]{32})", text):
        index = int(number)
        low = unsigned(cpu, "cpu/vregs", f"V{index} low half")
        high = (
            unsigned(cpu, "cpu/fpu", f"F{index}")
            if index < 16
            else unsigned(cpu, "cpu/vregs", f"V{index} high half")
        )
        assert f"{high:016x}{low:016x}" == digits
        seen += 1
    return seen


def _mips(text: str, cpu: Field) -> int:
    seen = 0
    registers = at(cpu, "registers")
    for line in re.findall(r"^GPR\d\d:(.*)$", text, flags=re.MULTILINE):
        for name, digits in re.findall(r"(\w\w) ([0-9a-f]{8,16})", line):
            assert unsigned(registers, "general registers", name) == int(digits, 16), name
            seen += 1
    for name, expected in oracles.pairs(text, r"\b(Status|Cause|EPC|Config\d|LLAddr) +0x([0-9a-f]+)").items():
        assert unsigned(cpu, f"CP0 {name}") == expected, name
        seen += 1
    for name, expected in oracles.pairs(text, r"\b(HI|LO)=0x([0-9a-f]+)").items():
        assert unsigned(registers, name, name) == expected
    counter = re.search(r"pc=0x([0-9a-f]+)", text)
    assert counter is not None
    assert unsigned(registers, "PC") == int(counter[1], 16)
    return seen


def _sparc(text: str, cpu: Field) -> int:
    seen = 0
    for group, line in re.findall(r"^%([goli])0-7: (.*)$", text, flags=re.MULTILINE):
        for number, digits in enumerate(line.split()):
            name = f"{group}{number}"
            holder = at(cpu, "global registers") if group == "g" else at(cpu, "current window")
            assert unsigned(holder, name) == int(digits, 16), name
            seen += 1
    for name, expected in oracles.pairs(text, r"\b(pc|npc|psr|wim|fsr|y): ([0-9a-f]+)").items():
        assert unsigned(cpu, name) == expected, name
        seen += 1
    return seen


def _alpha(text: str, cpu: Field) -> int:
    env = at(cpu, "env")
    seen = 0
    for name, digits in re.findall(r"\b(\S+) +([0-9a-f]{16})", text):
        if name in ("PC", "fpcr", "lock_a", "lock_v"):
            ours = {"PC": "pc", "lock_a": "lock_addr", "lock_v": "lock_value"}.get(name, name)
            assert unsigned(env, ours) == int(digits, 16), name
        elif re.fullmatch(r"f\d+", name):
            assert unsigned(env, "floating-point registers", name) == int(digits, 16), name
        else:
            assert unsigned(env, "integer registers", name) == int(digits, 16), name
        seen += 1
    return seen


def _openrisc(text: str, cpu: Field) -> int:
    env = at(cpu, "env")
    found = oracles.pairs(text, r"\b(PC|R\d\d)=([0-9a-f]{8})")
    for name, expected in found.items():
        shown = (
            unsigned(env, "pc") if name == "PC" else unsigned(env, "general registers", f"r{int(name[1:])}")
        )
        assert shown == expected, name
    return len(found)


def _avr(text: str, cpu: Field) -> int:
    found = oracles.pairs(text, r"R\[(\d\d)\]: +([0-9a-f]{2})")
    for name, expected in found.items():
        assert unsigned(cpu, "general registers", f"r{int(name)}") == expected
    flags = re.search(r"SREG: +\[(.*?)\]", text)
    assert flags is not None
    # QEMU prints N the wrong way round ("Zf has negative logic", one line too early).
    expected_flags = {flag for flag in flags[1].split() if flag != "-"} ^ {"N"}
    assert set(at(cpu, "SREG").meaning.split()) == expected_flags
    return len(found)


CHECKS = {
    "i386": (_x86, 40), "x86_64": (_x86, 40), "arm": (_arm, 16), "aarch64": (_arm, 34),
    "riscv64": (_riscv, 80),
    "ppc": (_ppc, 70), "ppc64": (_ppc, 70), "s390x": (_s390x, 34), "mips": (_mips, 36), "sparc": (_sparc, 32),
    "alpha": (_alpha, 60), "or1k": (_openrisc, 33), "avr": (_avr, 32),
}  # fmt: skip
"""Target → how to compare, and how many registers there must be at least."""


def _target(example: Example) -> str:
    return example.manifest.get("target", "x86_64")


# There the guest ran on between the snapshot and the question.
RUNNING = {"background-snapshot"}


def _comparable() -> list[Example]:
    return [
        one for one in with_answers("info_registers") if _target(one) in CHECKS and one.name not in RUNNING
    ]


@pytest.mark.parametrize("example", _comparable(), ids=lambda one: one.name)
def test_registers_equal_qemus_own(example: Example, explained: Devices) -> None:
    devices = explained(example)
    check, least = CHECKS[_target(example)]
    checked = 0
    for number, text in enumerate(oracles.cpus(example.manifest["oracle"]["info_registers"])):
        cpu = _cpu(devices, number)
        if cpu is None:
            continue
        assert check(text.replace("\r", ""), cpu) >= least
        checked += 1
    assert checked or example.name == "none-machine"


def test_x87_and_vectors_say_what_the_program_loaded(explained: Devices) -> None:
    example = next(one for one in with_answers("info_registers") if one.name == "pc-long-mode")
    cpu = explained(example)["cpu@0"]
    stack = at(cpu, "x87 stack")
    assert stack.meaning == "TOP=5, 3 registers in use"
    shown = [at(stack, f"ST({i})").meaning for i in range(4)]
    assert shown[0].startswith("-1.442695040888963")
    assert shown[1].startswith("1.0 ")
    assert shown[2].startswith("3.14159265358979")
    assert shown[3] == "empty"
    assert value(cpu, "IA32_LSTAR") == 0xFFFFFFFF81000040
    assert at(cpu, "RFLAGS").meaning == "CF PF DF"
    assert at(cpu, "CR4").meaning == "PAE OSFXSR OSXMMEXCPT OSXSAVE"
    assert at(cpu, "EFER").meaning == "SCE LME LMA NXE; MSR 0xc0000080"
    assert "4-level paging" in cpu.meaning
    assert [child.bits for child in at(cpu, "RFLAGS").children if child.value and child.name == "CF"] == [
        (0, 1)
    ]
