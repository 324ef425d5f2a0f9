"""Network cards: e1000, e1000e, RTL8139, PCnet, others by field name (device-facts §5)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Rule, Struct
from qevm.field import Field

_CTRL = r.bits(
    Bit(0, "FD"), Bit(2, "GIO-master-disable"), Bit(3, "LRST"), Bit(5, "ASDE"), Bit(6, "SLU"),
    Bit(7, "ILOS"), Bit(8, "speed", 2, {0: "10", 1: "100", 2: "1000"}), Bit(11, "FRCSPD"),
    Bit(12, "FRCDPLX"), Bit(26, "RST"), Bit(27, "RFCE"), Bit(28, "TFCE"), Bit(30, "VME"),
    Bit(31, "PHY-RST"),
)  # fmt: skip
_STATUS = r.bits(
    Bit(0, "FD"), Bit(1, "link-up"), Bit(4, "TXOFF"), Bit(6, "speed", 2, {0: "10", 1: "100", 2: "1000"}),
    Bit(9, "MTXCKOK"), Bit(10, "PHYRA"), Bit(19, "GIO-master"), Bit(31, "PF-RST-done"),
)  # fmt: skip
_RCTL = r.bits(
    *r.one_bits("RST EN SBP UPE MPE LPE"), Bit(6, "loopback", 2), Bit(8, "RDMTS", 2), Bit(12, "MO", 2),
    Bit(15, "BAM"), Bit(16, "BSIZE", 2, {0: "2048", 1: "1024", 2: "512", 3: "256"}), Bit(18, "VFE"),
    Bit(19, "CFIEN"), Bit(22, "DPF"), Bit(23, "PMCF"), Bit(25, "BSEX"), Bit(26, "SECRC"),
)  # fmt: skip
_TCTL = r.bits(
    Bit(0, "RST"), Bit(1, "EN"), Bit(2, "BCE"), Bit(3, "PSP"), Bit(4, "CT", 8), Bit(12, "COLD", 10),
    Bit(22, "SWXOFF"), Bit(24, "RTLC"), Bit(25, "NRTU"), Bit(28, "MULR"),
)  # fmt: skip
_CAUSES = r.bits(
    Bit(0, "TXDW"), Bit(1, "TXQE"), Bit(2, "LSC"), Bit(3, "RXSEQ"), Bit(4, "RXDMT0"), Bit(6, "RXO"),
    Bit(7, "RXT0"), Bit(9, "MDAC"), Bit(10, "RXCFG"), Bit(15, "TXD_LOW"), Bit(16, "SRPD"),
    Bit(20, "RXQ0"), Bit(21, "RXQ1"), Bit(22, "TXQ0"), Bit(23, "TXQ1"), Bit(24, "OTHER"),
    Bit(31, "INT_ASSERTED"),
)  # fmt: skip
_EECD = r.bits(
    Bit(0, "SK"), Bit(1, "CS"), Bit(2, "DI"), Bit(3, "DO"), Bit(4, "FWE", 2), Bit(6, "REQ"), Bit(7, "GNT"),
    Bit(8, "PRES"), Bit(9, "auto-read-done"),
)  # fmt: skip
# What the registers of the 8254x and 82574 that QEMU names are for.
_REGISTERS: dict[str, Rule] = {
    "CTRL": _CTRL,
    "STATUS": _STATUS,
    "EECD": _EECD,
    "RCTL": _RCTL,
    "TCTL": _TCTL,
    "ICR": r.both(r.say("interrupt cause"), _CAUSES),
    "ICS": r.both(r.say("interrupt cause set"), _CAUSES),
    "IMS": r.both(r.say("interrupts enabled"), _CAUSES),
    "IMC": r.both(r.say("interrupt mask clear"), _CAUSES),
    "RDBAL": r.both(r.address, r.say("receive ring, low half")),
    "RDBAH": r.both(r.address, r.say("receive ring, high half")),
    "RDLEN": r.both(r.say("receive ring"), r.shown(lambda n: r.plural(n // 16, "descriptor"))),
    "RDH": r.say("receive head: next descriptor the card fills"),
    "RDT": r.say("receive tail: end of what the driver gave"),
    "TDBAL": r.both(r.address, r.say("transmit ring, low half")),
    "TDBAH": r.both(r.address, r.say("transmit ring, high half")),
    "TDLEN": r.both(r.say("transmit ring"), r.shown(lambda n: r.plural(n // 16, "descriptor"))),
    "TDH": r.say("transmit head: next descriptor the card sends"),
    "TDT": r.say("transmit tail"),
    "GPRC": r.say("good packets received"),
    "GPTC": r.say("good packets transmitted"),
    "TPR": r.say("total packets received"),
    "TPT": r.say("total packets transmitted"),
    "TORL": r.say("octets received, low half"),
    "TORH": r.say("octets received, high half"),
    "TOTL": r.say("octets transmitted, low half"),
    "TOTH": r.say("octets transmitted, high half"),
    "MPC": r.say("packets missed for lack of descriptors"),
    "MANC": r.say("management control"),
    "MDIC": r.say("PHY register access"),
    "PBA": r.say("packet buffer split"),
    "LEDCTL": r.say("LED control"),
    "SWSM": r.say("software semaphore"),
    "TXDCTL": r.say("transmit descriptor control"),
    "WUFC": r.say("wake-up filters"),
    "VET": r.say("VLAN ethertype"),
    "RDTR": r.say("receive delay, 1.024 µs"),
    "RADV": r.say("receive absolute delay, 1.024 µs"),
    "TADV": r.say("transmit absolute delay, 1.024 µs"),
    "ITR": r.say("interrupt throttle, 256 ns"),
    "EERD": r.say("EEPROM read"),
}
_E1000_FIELDS = {f"mac_reg[{name}]": r.label(name, rule) for name, rule in _REGISTERS.items()}
# Byte offset in the register file of both chips → name (Intel 8254x manual, table 13-2).
_OFFSETS = {
    0x0000: "CTRL", 0x0008: "STATUS", 0x0010: "EECD", 0x0014: "EERD", 0x0020: "MDIC", 0x0038: "VET",
    0x00C0: "ICR", 0x00C4: "ITR", 0x00C8: "ICS", 0x00D0: "IMS", 0x00D8: "IMC", 0x0100: "RCTL",
    0x0400: "TCTL", 0x0E00: "LEDCTL", 0x1000: "PBA", 0x2800: "RDBAL", 0x2804: "RDBAH",
    0x2808: "RDLEN", 0x2810: "RDH", 0x2818: "RDT", 0x2820: "RDTR", 0x282C: "RADV", 0x3800: "TDBAL",
    0x3804: "TDBAH", 0x3808: "TDLEN", 0x3810: "TDH", 0x3818: "TDT", 0x3828: "TXDCTL", 0x382C: "TADV",
    0x4010: "MPC", 0x4074: "GPRC", 0x4080: "GPTC", 0x40C0: "TORL", 0x40C4: "TORH", 0x40C8: "TOTL",
    0x40CC: "TOTH", 0x40D0: "TPR", 0x40D4: "TPT", 0x5808: "WUFC", 0x5820: "MANC", 0x5B50: "SWSM",
}  # fmt: skip


def _register_file(item: Field, context: ExplainContext) -> None:
    """All MAC registers in order of their offset, four bytes each."""

    def named(index: int, child: Field) -> Field:
        offset = 4 * index
        name = _OFFSETS.get(offset, "")
        if 0x5400 <= offset < 0x5480:
            name = f"RA{(offset - 0x5400) // 8}{'H' if offset & 4 else 'L'}"
        elif 0x5200 <= offset < 0x5400:
            name = f"MTA{(offset - 0x5200) // 4}"
        elif 0x5600 <= offset < 0x5800:
            name = f"VFTA{(offset - 0x5600) // 4}"
        r.rename(child, name or f"+{offset:#06x}")
        rule = _REGISTERS.get(name)
        if rule is not None:
            rule(child, context)
        return child

    r.update_each(item, named)


def _receive_address(item: Field, _: ExplainContext) -> None:
    """Sixteen pairs RAL, RAH: six bytes of address, little-endian, bit 31 of RAH = valid."""
    words = [r.unsigned(child) or 0 for child in item.children]
    for i in range(0, len(words) - 1, 2):
        low, high = item.children[i], item.children[i + 1]
        r.rename(low, f"RA{i // 2}L")
        r.rename(high, f"RA{i // 2}H")
        if words[i + 1] >> 31:
            mac = words[i].to_bytes(4, "little") + (words[i + 1] & 0xFFFF).to_bytes(2, "little")
            r.add_meaning(low, mac.hex(":"))
            r.add_meaning(high, "valid")
            if i == 0:
                r.add_meaning(item, mac.hex(":"))


def _eeprom(item: Field, _: ExplainContext) -> None:
    """Words 0–2 hold the permanent MAC address, low byte first; all words add up to 0xbaba."""
    words = [(r.unsigned(child) or 0) for child in item.children[:64]]
    if len(words) < 64:
        return
    mac = b"".join(word.to_bytes(2, "little") for word in words[:3])
    r.add_meaning(item, f"MAC {mac.hex(':')}")
    if sum(words) & 0xFFFF != 0xBABA:
        r.add_meaning(item, "checksum does not hold")


def _e1000(item: Field, _: ExplainContext) -> None:
    parts = []
    addresses, status = item.child("mac_reg[0]"), item.child("mac_reg[STATUS]")
    if addresses is not None and addresses.meaning:
        parts.append(f"MAC {addresses.meaning}")
    value = r.unsigned(status) if status is not None else None
    if value is not None:
        parts.append("link up" if value & 2 else "link down")
    for name, word in (("mac_reg[RCTL]", "receive"), ("mac_reg[TCTL]", "transmit")):
        control = r.value_of(item, name)
        if control is not None:
            parts.append(f"{word} {'on' if control & 2 else 'off'}")
    r.add_meaning(item, ", ".join(parts))


_RTL_COMMAND = r.bits(Bit(0, "buffer-empty"), Bit(2, "transmit"), Bit(3, "receive"), Bit(4, "reset"))
_RTL_INTERRUPTS = r.bits(
    *r.one_bits("ROK RER TOK TER RxOverflow PUN FIFO-overflow"), Bit(13, "LenChg"), Bit(14, "timeout"),
    Bit(15, "SERR"),
)  # fmt: skip
_PCNET_CSR0 = r.bits(
    *r.one_bits("INIT STRT STOP TDMD TXON RXON IENA INTR IDON TINT RINT MERR MISS CERR BABL ERR")
)

STRUCTS = (
    Struct(
        "e1000",
        {
            **_E1000_FIELDS,
            "mac_reg[0]": r.label("receive addresses", _receive_address),
            "mac_reg[1]": r.label("multicast table", r.numbered("MTA{}")),
            "mac_reg[2]": r.label("VLAN filter table", r.numbered("VFTA{}")),
            "eeprom_data": r.label("EEPROM", r.numbered("word {}"), _eeprom),
            "phy_reg": r.numbered("PHY register {}"),
            "tx.size": r.say("bytes of the packet being put together"),
        },
        after=_e1000,
    ),
    Struct("e1000/mit_state", _E1000_FIELDS),
    Struct("e1000/full_mac_state", {"mac_reg": r.label("register file", _register_file)}),
    Struct(
        "e1000e",
        {
            "core.mac": r.label("register file", _register_file),
            "core.eeprom": r.label("EEPROM", r.numbered("word {}"), _eeprom),
            "core.permanent_mac": r.label("permanent MAC", r.mac_address),
            "core.phy": r.numbered("PHY register {}"),
            "core.rx_desc_buf_size": r.byte_count,
        },
    ),
    Struct("e1000e-intr-timer", {"running": r.yes_no("running", "stopped")}),
    Struct(
        "rtl8139",
        {
            "phys": r.label("MAC", r.mac_address),
            "conf.macaddr": r.label("permanent MAC", r.mac_address),
            "RxBuf": r.address,
            "TxAddr": r.numbered("TxAddr{}", rule=r.address),
            "TxStatus": r.numbered("TxStatus{}"),
            "IntrStatus": _RTL_INTERRUPTS,
            "IntrMask": _RTL_INTERRUPTS,
            "bChipCmdState": r.label("command", _RTL_COMMAND),
            "eeprom.contents": r.numbered("word {}"),
        },
    ),
    Struct(
        "pcnet",
        {
            "prom": r.both(r.say("address PROM"), r.mac_address),
            "csr": r.numbered("CSR{}"),
            "bcr": r.numbered("BCR{}"),
            "rap": r.say("register selected"),
            "rdra": r.both(r.address, r.say("receive ring")),
            "tdra": r.both(r.address, r.say("transmit ring")),
        },
        requires=("csr",),
        after=lambda item, context: _pcnet(item, context),
    ),
    Struct(
        "ne2000",
        {"phys": r.label("MAC", r.mac_address), "mult": r.say("multicast filter")},
        requires=("phys",),
    ),
    Struct("i82551", {"conf.macaddr": r.label("MAC", r.mac_address)}),
    Struct("sungem", {"conf.macaddr": r.label("MAC", r.mac_address)}),
    Struct("tulip", {"csr": r.numbered("CSR{}"), "current_rx_desc": r.address, "current_tx_desc": r.address}),
    Struct(
        "spapr_llan",
        {"buf_list": r.address, "isopen": r.yes_no("opened by the guest", "not opened")},
    ),
)


def _pcnet(item: Field, context: ExplainContext) -> None:
    registers = item.child("csr")
    if registers is not None and registers.children:
        first = registers.children[0]
        _PCNET_CSR0(first, context)
        r.add_meaning(item, first.meaning)
