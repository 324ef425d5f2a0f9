"""Layouts inside the ``virtio`` blob that QEMU writes with vmstate but does not describe (device-facts §3).

Written as vmsds so that the decoder of described devices reads them.
"""

from __future__ import annotations

from qevm.vmdesc import VmField, Vmsd


def _vmsd(name: str, *fields: VmField, subsections: tuple[Vmsd, ...] = ()) -> Vmsd:
    return Vmsd(name, 1, fields, subsections)


def _u8(name: str, count: int | None = None) -> VmField:
    return VmField(name, "uint8", 1, count)


def _u16(name: str) -> VmField:
    return VmField(name, "uint16", 2)


def _u32(name: str, count: int | None = None) -> VmField:
    return VmField(name, "uint32", 4, count)


def _u64(name: str) -> VmField:
    return VmField(name, "uint64", 8)


def _bool(name: str) -> VmField:
    return VmField(name, "bool", 1)


def _struct(name: str, vmsd: Vmsd, count: int | None = None) -> VmField:
    return VmField(name, "struct", vmsd.length, count, struct=vmsd)


QUEUE_MAX = 1024

_VIRTQUEUE = _vmsd("virtqueue_state", _u64("vring.avail"), _u64("vring.used"))
_PACKED = _vmsd(
    "packed_virtqueue_state",
    _u16("last_avail_idx"),
    _bool("last_avail_wrap_counter"),
    _u16("used_idx"),
    _bool("used_wrap_counter"),
    _u32("inuse"),
)
_RING = _vmsd("ringsize_state", _u32("vring.num_default"))
_PCI_QUEUE = _vmsd(
    "virtio_pci/modern_queue_state",
    _u16("num"),
    VmField("unused", "unused_buffer", 1),
    _bool("enabled"),
    _u32("desc", 2),
    _u32("avail", 2),
    _u32("used", 2),
)
_MMIO_QUEUE = _vmsd(
    "virtio_mmio/queue_state",
    _u16("num"),
    _bool("enabled"),
    _u32("desc", 2),
    _u32("avail", 2),
    _u32("used", 2),
)

SUBSECTIONS = {
    vmsd.name: vmsd
    for vmsd in (
        _vmsd("virtio/device_endian", _u8("device_endian")),
        _vmsd("virtio/64bit_features", _u64("guest_features")),
        _vmsd("virtio/virtqueues", _struct("vq", _VIRTQUEUE, QUEUE_MAX)),
        _vmsd("virtio/packed_virtqueues", _struct("vq", _PACKED, QUEUE_MAX)),
        _vmsd("virtio/ringsize", _struct("vq", _RING, QUEUE_MAX)),
        _vmsd("virtio/broken", _bool("broken")),
        _vmsd("virtio/started", _bool("started")),
        _vmsd("virtio/disabled", _bool("disabled")),
        # The body of virtio/extra_state is a vmsd without fields and with one of these as subsection.
        _vmsd(
            "virtio_pci/modern_state",
            _u32("dfselect"),
            _u32("gfselect"),
            _u32("guest_features", 2),
            _struct("vqs", _PCI_QUEUE, QUEUE_MAX),
        ),
        _vmsd(
            "virtio_mmio/state",
            _u32("guest_features", 2),
            _struct("vqs", _MMIO_QUEUE, QUEUE_MAX),
        ),
    )
}
"""Body of each subsection by its name."""

_PMCW = _vmsd(
    "s390_pmcw", _u32("intparm"), _u16("flags"), _u16("devno"), _u8("lpm"), _u8("pnom"), _u8("lpum"),
    _u8("pim"), _u16("mbi"), _u8("pom"), _u8("pam"), _u8("chpid", 8), _u32("chars"),
)  # fmt: skip
_SCSW = _vmsd(
    "s390_scsw", _u16("flags"), _u16("ctrl"), _u32("cpa"), _u8("dstat"), _u8("cstat"), _u16("count")
)
_SCHIB = _vmsd("s390_schib", _struct("pmcw", _PMCW), _struct("scsw", _SCSW), _u64("mba"), _u8("mda", 4))
_CCW1 = _vmsd("s390_ccw1", _u8("cmd_code"), _u8("flags"), _u16("count"), _u32("cda"))
_CIW = _vmsd("s390_ciw", _u8("type"), _u8("command"), _u16("count"))
_SENSE_ID = _vmsd(
    "s390_sense_id", _u8("reserved"), _u16("cu_type"), _u8("cu_model"), _u16("dev_type"),
    _u8("dev_model"), _u8("unused"), _struct("ciw", _CIW, 62),
)  # fmt: skip
SUBCHANNEL = _vmsd(
    "s390_subch_dev", _u8("cssid"), _u8("ssid"), _u16("migrated_schid"), _u16("devno"),
    _bool("thinint_active"), _struct("curr_status", _SCHIB), _u8("sense_data", 32),
    _u64("channel_prog"), _struct("last_cmd", _CCW1), _bool("last_cmd_valid"),
    _struct("id", _SENSE_ID), _bool("ccw_fmt_1"), _u8("ccw_no_data_cnt"),
)  # fmt: skip
"""virtio-ccw, first part: the subchannel (hw/s390x/css.c)."""

ORB = _vmsd("s390_subch_dev/orb", _u32("intparm"), _u16("ctrl0"), _u8("lpm"), _u8("ctrl1"), _u32("cpa"))
_INDICATOR = _vmsd("s390_ind_addr_tmp", VmField("len", "int32", 4), _u64("addr"))
CCW = _vmsd(
    "s390_virtio_ccw_dev", _struct("indicators", _INDICATOR), _struct("indicators2", _INDICATOR),
    _struct("summary_indicator", _INDICATOR), _u16("config_vector"), _u64("ind_offset"),
)  # fmt: skip
"""virtio-ccw, second part (hw/s390x/virtio-ccw.c)."""

SUMMARY_OFFSET = _vmsd("s390_adapter_info/summary_offset", _u32("summary_offset"))
CCW_END = _vmsd("s390_virtio_ccw_dev", _u8("thinint_isc"), VmField("revision", "int32", 4))
"""virtio-ccw, last part."""

MMIO = _vmsd("virtio-mmio", _u32("host_features_sel"), _u32("guest_features_sel"), _u32("guest_page_shift"))
