"""Disks: IDE, AHCI, floppy, SCSI, flash, SD (device-facts §5)."""

from __future__ import annotations

from qevm import safetext
from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Rule, Struct
from qevm.explain.window import Window
from qevm.field import Field

_STATUS = r.bits(*r.one_bits("ERR IDX ECC DRQ SEEK FAULT READY BUSY"))
_ERROR = r.bits(*r.one_bits("AMNF TRK0 ABRT MCR ID MC UNC BBK"))
_SELECT = r.bits(
    Bit(0, "head", 4),
    Bit(4, "slave"),
    Bit(5, "always-1", quiet=True),
    Bit(6, "LBA"),
    Bit(7, "always-1", quiet=True),
)
_CONTROL = r.bits(
    Bit(1, "nIEN", text="interrupts disabled"), Bit(2, "SRST"), Bit(3, "always-1", quiet=True), Bit(7, "HOB")
)
_IDENTIFY_TEXT = (("serial number", 10, 10), ("firmware revision", 23, 4), ("model", 27, 20))
_SENSE = {
    0: "no sense", 1: "recovered error", 2: "not ready", 3: "medium error", 4: "hardware error",
    5: "illegal request", 6: "unit attention", 7: "data protect", 11: "aborted command",
}  # fmt: skip


def _identify(item: Field, context: ExplainContext) -> None:
    """The 256 little-endian words of IDENTIFY DEVICE; texts have their bytes swapped in pairs."""
    data = item.value
    if not isinstance(data, bytes) or len(data) != 512 or not data.strip(b"\0"):
        return
    w = Window(data, item.offset, context)
    fields = [
        w.number("configuration", 0, 2),
        w.number("cylinders", 2, 2),
        w.number("heads", 6, 2),
        w.number("sectors per track", 12, 2),
        w.number("LBA28 sectors", 120, 4, r.shown(lambda n: r.size_text(512 * n))),
        w.number("LBA48 sectors", 200, 8, r.shown(lambda n: r.size_text(512 * n) if n else "")),
    ]
    model = ""
    for name, word, count in _IDENTIFY_TEXT:
        raw = data[2 * word : 2 * (word + count)]
        swapped = bytes(raw[i ^ 1] for i in range(len(raw)))
        text = safetext.safe(safetext.decode(swapped).strip())
        model = text if name == "model" else model
        fields.append(w.raw(name, 2 * word, 2 * count, meaning=text))
    item.children = w.tiled(fields, 0, 512, "words")
    r.add_meaning(item, model)


def _drive(item: Field, _: ExplainContext) -> None:
    status, identify = r.value_of(item, "status"), item.child("identify_data")
    if status is None:
        return
    state = item.child("status")
    parts = [state.meaning if state is not None and state.meaning else "no drive answers"]
    if identify is not None and identify.meaning:
        parts.insert(0, identify.meaning)
    r.add_meaning(item, ", ".join(parts))


def _hob(name: str) -> Rule:
    return r.say(f"{name} of the previous write (48-bit commands)")


_PORT_COMMAND = r.bits(
    Bit(0, "ST", text="started"), Bit(1, "SUD"), Bit(2, "POD"), Bit(3, "CLO"), Bit(4, "FRE"),
    Bit(8, "slot", 5), Bit(13, "MPSS"), Bit(14, "FR"), Bit(15, "CR", text="command list running"),
    Bit(16, "CPS"), Bit(17, "PMA"), Bit(18, "HPCP"), Bit(24, "ATAPI"), Bit(28, "ICC", 4),
)  # fmt: skip
_PORT_INTERRUPTS = r.bits(
    *r.one_bits("DHRS PSS DSS SDBS UFS DPS PCS DMPS"), Bit(22, "PRCS"), Bit(23, "IPMS"), Bit(24, "OFS"),
    Bit(26, "INFS"), Bit(27, "IFS"), Bit(28, "HBDS"), Bit(29, "HBFS"), Bit(30, "TFES"), Bit(31, "CPDS"),
)  # fmt: skip
_SATA_STATUS = r.bits(
    Bit(0, "", 4, {0: "no device", 1: "device, no link", 3: "link up", 4: "offline"}),
    Bit(4, "speed", 4, {0: "", 1: "1.5 Gb/s", 2: "3 Gb/s", 3: "6 Gb/s"}),
    Bit(8, "power", 4, {0: "", 1: "active", 2: "partial", 6: "slumber"}),
)
_SIGNATURES = {0x101: "ATA disk", 0xEB140101: "ATAPI", 0xC33C0101: "enclosure", 0x96690101: "port multiplier",
               0xFFFF0101: "none"}  # fmt: skip


def _ahci_port(item: Field, _: ExplainContext) -> None:
    status, signature = item.child("port_regs.scr_stat"), item.child("port_regs.sig")
    if status is not None and signature is not None:
        text = status.meaning
        if (r.number(status) or 0) & 0xF:
            text += f", {signature.meaning}"
        r.add_meaning(item, text)


_FLASH_COMMANDS = {
    0x00: "read array", 0x10: "program", 0x20: "block erase", 0x28: "CFI erase", 0x40: "program",
    0x50: "clear status", 0x60: "block lock", 0x70: "read status", 0x90: "read identifier",
    0x98: "CFI query", 0xD0: "confirm", 0xE8: "write buffer", 0xF0: "probe reset", 0xFF: "read array",
}  # fmt: skip
_SD_STATES = {
    -1: "inactive", 0: "idle", 1: "ready", 2: "identification", 3: "standby", 4: "transfer",
    5: "sending data", 6: "receiving data", 7: "programming", 8: "disconnect",
}  # fmt: skip

STRUCTS = (
    Struct(
        "ide",
        {
            "bmdma": r.label("bus master DMA", r.names("primary", "secondary")),
            "bus": r.label("buses", r.names("primary", "secondary")),
            "bus[0].ifs": r.label("primary drives", r.names("primary master", "primary slave")),
            "bus[1].ifs": r.label("secondary drives", r.names("secondary master", "secondary slave")),
        },
    ),
    Struct(
        "ide_bus", {"cmd": r.label("device control", _CONTROL), "unit": r.words({0: "master", 1: "slave"})}
    ),
    Struct(
        "ide bmdma",
        {
            "cmd": r.bits(Bit(0, "start"), Bit(3, "write to memory")),
            "migration_compat_status": r.label(
                "status", r.bits(*r.one_bits("active error interrupt - - drive0-DMA drive1-DMA"))
            ),
            "addr": r.both(r.address, r.say("PRD table")),
        },
    ),
    Struct(
        "ide_drive",
        {
            "mult_sectors": r.say("sectors per READ/WRITE MULTIPLE"),
            "identify_set": r.yes_no("identify_data is filled", "identify_data is not filled"),
            "feature": r.label("features"),
            "error": r.label("error", _ERROR),
            "nsector": r.label("sector count"),
            "sector": r.label("sector number", r.say("LBA 7:0")),
            "lcyl": r.label("cylinder low", r.say("LBA 15:8; ATAPI signature 14 eb")),
            "hcyl": r.label("cylinder high", r.say("LBA 23:16; ATAPI signature 14 eb")),
            "hob_feature": _hob("features"),
            "hob_nsector": _hob("sector count"),
            "hob_sector": _hob("LBA 31:24"),
            "hob_lcyl": _hob("LBA 39:32"),
            "hob_hcyl": _hob("LBA 47:40"),
            "select": r.label("device/head", _SELECT),
            "status": r.label("status", _STATUS),
            "lba48": r.yes_no("a 48-bit command is running"),
            "sense_key": r.words(_SENSE),
            "identify_data": _identify,
        },
        after=_drive,
    ),
    Struct(
        "ahci",
        {
            "control_regs.cap": r.label(
                "CAP",
                r.bits(
                    Bit(0, "ports - 1", 5),
                    Bit(5, "SXS"),
                    Bit(6, "EMS"),
                    Bit(7, "CCCS"),
                    Bit(8, "slots - 1", 5),
                    Bit(13, "PSC"),
                    Bit(14, "SSC"),
                    Bit(15, "PMD"),
                    Bit(16, "FBSS"),
                    Bit(17, "SPM"),
                    Bit(18, "SAM"),
                    Bit(20, "speed", 4),
                    *r.one_bits("SCLO SAL SALP SSS SMPS SSNTF SNCQ S64A", 24),
                ),
            ),
            "control_regs.ghc": r.label("GHC", r.bits(Bit(0, "HR"), Bit(1, "IE"), Bit(31, "AE"))),
            "control_regs.irqstatus": r.label("IS"),
            "control_regs.impl": r.label("PI", r.shown(lambda n: f"ports {r.listed(r.bit_numbers([n]))}")),
            "control_regs.version": r.label("VS", r.shown(lambda n: f"AHCI {n >> 16}.{n >> 8 & 0xFF}")),
            "dev": r.numbered("port {}"),
        },
    ),
    Struct(
        "ahci port",
        {
            "port_regs.lst_addr": r.label("PxCLB", r.address),
            "port_regs.lst_addr_hi": r.label("PxCLBU", r.address),
            "port_regs.fis_addr": r.label("PxFB", r.address),
            "port_regs.fis_addr_hi": r.label("PxFBU", r.address),
            "port_regs.irq_stat": r.label("PxIS", _PORT_INTERRUPTS),
            "port_regs.irq_mask": r.label("PxIE", _PORT_INTERRUPTS),
            "port_regs.cmd": r.label("PxCMD", _PORT_COMMAND),
            "port_regs.tfdata": r.label(
                "PxTFD", r.bits(*r.one_bits("ERR IDX ECC DRQ SEEK FAULT READY BUSY"), Bit(8, "error", 8))
            ),
            "port_regs.sig": r.label("PxSIG", r.words(_SIGNATURES)),
            "port_regs.scr_stat": r.label("PxSSTS", _SATA_STATUS),
            "port_regs.scr_ctl": r.label("PxSCTL"),
            "port_regs.scr_err": r.label("PxSERR"),
            "port_regs.scr_act": r.label(
                "PxSACT", r.shown(lambda n: f"slots {r.listed(r.bit_numbers([n]))}" if n else "")
            ),
            "port_regs.cmd_issue": r.label(
                "PxCI", r.shown(lambda n: f"slots {r.listed(r.bit_numbers([n]))}" if n else "")
            ),
            "busy_slot": r.say_if(-1, "none"),
            "ncq_tfs": r.numbered("NCQ tag {}"),
        },
        after=_ahci_port,
    ),
    Struct("ncq state", {"used": r.yes_no("in flight", "free")}),
    Struct(
        "fdc",
        {
            "dor_vmstate": r.label(
                "DOR",
                r.bits(Bit(0, "drive", 2), *r.one_bits("not-reset DMA-IRQ motor0 motor1 motor2 motor3", 2)),
            ),
            "msr": r.label("MSR", r.bits(*r.one_bits("seek0 seek1 seek2 seek3 busy non-DMA DIO RQM"))),
            "dsr": r.label("DSR"),
            "sra": r.label("SRA"),
            "srb": r.label("SRB"),
            "tdr": r.label("TDR"),
            "drives": r.numbered("drive {}"),
        },
    ),
    Struct(
        "fdrive/media_rate",
        {"media_rate": r.words({0: "500 kb/s", 1: "300 kb/s", 2: "250 kb/s", 3: "1 Mb/s"})},
    ),
    Struct(
        "SCSIDevice",
        {
            "unit_attention.key": r.words(_SENSE),
            "sense_len": r.say("bytes of sense data"),
            "requests": lambda item, _: r.add_meaning(
                item, "no request in flight" if item.value == b"\0" else "requests in flight"
            ),
        },
    ),
    Struct(
        "scsi-disk",
        {
            "media_changed": r.yes_no("medium changed"),
            "tray_open": r.yes_no("tray open", "tray closed"),
            "tray_locked": r.yes_no("tray locked by the guest"),
            "eject_request": r.yes_no("eject asked for"),
        },
    ),
    Struct(
        "pflash_cfi01",
        {
            "wcycle": r.shown(lambda n: f"waits for write cycle {n}" if n else "idle"),
            "cmd": r.words(_FLASH_COMMANDS),
            "status": r.bits(
                *r.one_bits(
                    "- block-locked program-suspended VPP-low program-error erase-error erase-suspended ready"
                )
            ),
            "counter": r.say("words left of a buffered write"),
        },
    ),
    Struct(
        "pflash_cfi02",
        {"cmd": r.words(_FLASH_COMMANDS), "status": r.bits(Bit(7, "ready"), Bit(5, "timeout"))},
    ),
    Struct(
        "sd-card",
        {
            "mode": r.words({0: "inactive", 1: "identification", 2: "data transfer"}),
            "state": r.words(_SD_STATES),
            "expecting_acmd": r.yes_no("the next command is an ACMD"),
            "current_cmd": r.shown(lambda n: f"CMD{n}"),
        },
    ),
    Struct(
        "sdhci",
        {
            "sdmasysad": r.address,
            "prnsts": r.label(
                "present state",
                r.bits(
                    *r.one_bits("CMD-inhibit DAT-inhibit DAT-active"),
                    *r.one_bits("write-active read-active write-enable read-enable", 8),
                    Bit(16, "card-inserted"),
                    Bit(17, "stable"),
                    Bit(18, "card-detect"),
                    Bit(19, "writable"),
                    Bit(20, "DAT", 4),
                    Bit(24, "CMD-line"),
                ),
            ),
            "pwrcon": r.bits(Bit(0, "power"), Bit(1, "voltage", 3, {5: "1.8 V", 6: "3.0 V", 7: "3.3 V"})),
            "clkcon": r.bits(Bit(0, "internal"), Bit(1, "stable"), Bit(2, "SD-clock"), Bit(8, "divider", 8)),
        },
    ),
)
