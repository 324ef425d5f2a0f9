"""Devices of Arm boards: GIC, GICv3, NVIC, RTC and GPIO of ``virt`` (device-facts §5)."""

from __future__ import annotations

from collections.abc import Callable

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.pc_timers import epoch
from qevm.explain.rules import Bit, Rule, Struct
from qevm.field import Field


def interrupt_name(number: int) -> str:
    """SGI 0–15, PPI 16–31, SPI from 32 on, as device trees count them."""
    if number < 16:
        return f"SGI {number}"
    return f"PPI {number - 16}" if number < 32 else f"SPI {number - 32}"


def _interrupt_state(item: Field, _: ExplainContext) -> None:
    """Each member is a mask of CPUs."""
    words = [name for name in ("enabled", "pending", "active", "level") if r.value_of(item, name)]
    trigger = "edge" if r.value_of(item, "edge_trigger") else "level"
    r.add_meaning(item, " ".join([*words, f"({trigger}-triggered)"]) if words else "idle")


def _vector(word: str, start: int = 0) -> Rule:
    """Bitmaps of GICv3: word n holds interrupts 32n…32n+31."""

    def rule(item: Field, _: ExplainContext) -> None:
        numbers = r.bit_numbers([r.unsigned(child) or 0 for child in r.elements(item)], 32, start)
        r.add_meaning(item, f"{word} {r.listed(numbers)}" if numbers else f"none {word}")

    return rule


def _by_interrupt(start: int = 0) -> Callable[[Field, ExplainContext], None]:
    def rule(item: Field, _: ExplainContext) -> None:
        def named(number: int, child: Field) -> Field:
            r.rename(child, interrupt_name(number + start))
            return child

        if item.type.endswith("]"):
            r.update_each(item, named)

    return rule


STRUCTS = (
    Struct(
        "arm_gic",
        {
            "ctlr": r.label(
                "GICD_CTLR", r.bits(Bit(0, "group 0"), Bit(1, "group 1"), empty="distributor off")
            ),
            "cpu_ctlr": r.label(
                "GICC_CTLR",
                r.numbered(
                    "CPU {}",
                    rule=r.bits(
                        Bit(0, "enable-group0"),
                        Bit(1, "enable-group1"),
                        Bit(2, "AckCtl"),
                        Bit(3, "FIQEn"),
                        Bit(9, "EOImode"),
                    ),
                ),
            ),
            "irq_state": _by_interrupt(),
            "irq_target": r.both(r.say("mask of CPUs"), _by_interrupt()),
            "priority2": _by_interrupt(32),
            "priority_mask": r.label("GICC_PMR", r.numbered("CPU {}")),
            "running_priority": r.label("GICC_RPR", r.numbered("CPU {}", rule=r.say_if(0x100, "idle"))),
            "current_pending": r.label("GICC_HPPIR", r.numbered("CPU {}", rule=r.say_if(1023, "none"))),
            "bpr": r.label("GICC_BPR", r.numbered("CPU {}")),
            "abpr": r.label("GICC_ABPR", r.numbered("CPU {}")),
        },
    ),
    Struct("arm_gic_irq_state", after=_interrupt_state),
    Struct(
        "arm_gicv3",
        {
            "gicd_ctlr": r.label(
                "GICD_CTLR",
                r.bits(
                    Bit(0, "group 0"),
                    Bit(1, "group 1 NS"),
                    Bit(2, "group 1 S"),
                    Bit(4, "ARE_S"),
                    Bit(5, "ARE_NS"),
                    Bit(6, "DS"),
                    Bit(7, "E1NWF"),
                    Bit(31, "RWP"),
                ),
            ),
            "group": r.label("GICD_IGROUPR", _vector("in group 1:")),
            "grpmod": r.label("GICD_IGRPMODR", _vector("modified:")),
            "enabled": r.label("GICD_ISENABLER", _vector("enabled:")),
            "pending": r.label("GICD_ISPENDR", _vector("pending:")),
            "active": r.label("GICD_ISACTIVER", _vector("active:")),
            "level": _vector("line high:"),
            "edge_trigger": r.label("GICD_ICFGR", _vector("edge-triggered:")),
            "gicd_ipriority": r.label("GICD_IPRIORITYR", _by_interrupt()),
            "gicd_irouter": r.label("GICD_IROUTER", _by_interrupt()),
            "cpu": r.numbered("CPU {}"),
        },
    ),
    Struct(
        "arm_gicv3_cpu",
        {
            "gicr_ctlr": r.label("GICR_CTLR"),
            "gicr_waker": r.label("GICR_WAKER", r.bits(Bit(1, "ProcessorSleep"), Bit(2, "ChildrenAsleep"))),
            "gicr_propbaser": r.label("GICR_PROPBASER", r.address),
            "gicr_pendbaser": r.label("GICR_PENDBASER", r.address),
            "gicr_igroupr0": r.label("GICR_IGROUPR0", _vector("in group 1:")),
            "gicr_ienabler0": r.label("GICR_ISENABLER0", _vector("enabled:")),
            "gicr_ipendr0": r.label("GICR_ISPENDR0", _vector("pending:")),
            "gicr_iactiver0": r.label("GICR_ISACTIVER0", _vector("active:")),
            "gicr_ipriorityr": r.label("GICR_IPRIORITYR", _by_interrupt()),
            "icc_pmr_el1": r.label("ICC_PMR_EL1"),
            "icc_ctlr_el1": r.label("ICC_CTLR_EL1", r.names("secure", "non-secure")),
            "icc_ctlr_el3": r.label("ICC_CTLR_EL3"),
            "icc_igrpen": r.label("ICC_IGRPEN", r.names("group 0", "group 1 secure", "group 1 non-secure")),
            "icc_bpr": r.label("ICC_BPR", r.names("group 0", "group 1 secure", "group 1 non-secure")),
        },
    ),
    Struct(
        "arm_gicv3_its",
        {
            "ctlr": r.label("GITS_CTLR", r.bits(Bit(0, "enabled"), Bit(31, "quiescent"))),
            "cbaser": r.label("GITS_CBASER", r.address),
            "cwriter": r.label("GITS_CWRITER"),
            "creadr": r.label("GITS_CREADR"),
            "baser": r.label("GITS_BASER", r.each(r.address)),
        },
    ),
    Struct(
        "pl031",
        {
            "tick_offset_vmstate": r.shown(epoch),
            "mr": r.label("RTCMR", r.shown(epoch), r.say("alarm")),
            "lr": r.label("RTCLR", r.shown(epoch)),
            "cr": r.label("RTCCR"),
            "im": r.label("RTCIMSC", r.yes_no("alarm interrupt enabled")),
            "is": r.label("RTCRIS", r.yes_no("alarm raised")),
        },
    ),
    Struct("pl031/tick-offset", {"tick_offset": r.shown(epoch)}),
    Struct(
        "pl061",
        {
            "data": r.label(
                "GPIODATA", r.shown(lambda n: f"pins {r.listed(r.bit_numbers([n], 8))} high" if n else "")
            ),
            "dir": r.label(
                "GPIODIR",
                r.shown(
                    lambda n: f"pins {r.listed(r.bit_numbers([n], 8))} are outputs" if n else "all inputs"
                ),
            ),
            "isense": r.label("GPIOIS"),
            "ibe": r.label("GPIOIBE"),
            "iev": r.label("GPIOIEV"),
            "im": r.label("GPIOIE"),
            "istate": r.label("GPIORIS"),
            "afsel": r.label("GPIOAFSEL"),
        },
    ),
    Struct(
        "armv7m_nvic",
        {"vectors": r.numbered("exception {}"), "prigroup[M_REG_NS]": r.label("AIRCR.PRIGROUP")},
    ),
    Struct(
        "armv7m_nvic_info",
        after=lambda item, _: r.add_meaning(
            item,
            " ".join(
                [f"priority {r.value_of(item, 'prio')}"]
                + [name for name in ("enabled", "pending", "active") if r.value_of(item, name)]
            ),
        ),
    ),
    Struct(
        "armv7m_systick",
        {
            "control": r.label(
                "SYST_CSR",
                r.bits(Bit(0, "ENABLE"), Bit(1, "TICKINT"), Bit(2, "CLKSOURCE"), Bit(16, "COUNTFLAG")),
            )
        },
    ),
)
