"""Names of virtio: status, features, queues and device configuration (virtio 1.2; device-facts §3)."""

from __future__ import annotations

from dataclasses import dataclass

from qevm.explain import rules as r
from qevm.explain.rules import Bit, Rule

STATUS = r.bits(
    Bit(0, "ACKNOWLEDGE"), Bit(1, "DRIVER"), Bit(2, "DRIVER_OK"), Bit(3, "FEATURES_OK"),
    Bit(6, "NEEDS_RESET"), Bit(7, "FAILED"), empty="reset: no driver has touched the device",
)  # fmt: skip
ISR = r.bits(Bit(0, "queue interrupt"), Bit(1, "configuration change"))

_TRANSPORT = {
    24: "NOTIFY_ON_EMPTY", 27: "ANY_LAYOUT", 28: "INDIRECT_DESC", 29: "EVENT_IDX", 30: "BAD_FEATURE",
    32: "VERSION_1", 33: "ACCESS_PLATFORM", 34: "RING_PACKED", 35: "IN_ORDER", 36: "ORDER_PLATFORM",
    37: "SR_IOV", 38: "NOTIFICATION_DATA", 39: "NOTIF_CONFIG_DATA", 40: "RING_RESET",
}  # fmt: skip
_DEVICE_FEATURES: dict[str, dict[int, str]] = {
    "net": {
        0: "CSUM", 1: "GUEST_CSUM", 2: "CTRL_GUEST_OFFLOADS", 3: "MTU", 5: "MAC", 6: "GSO",
        7: "GUEST_TSO4", 8: "GUEST_TSO6", 9: "GUEST_ECN", 10: "GUEST_UFO", 11: "HOST_TSO4",
        12: "HOST_TSO6", 13: "HOST_ECN", 14: "HOST_UFO", 15: "MRG_RXBUF", 16: "STATUS", 17: "CTRL_VQ",
        18: "CTRL_RX", 19: "CTRL_VLAN", 20: "CTRL_RX_EXTRA", 21: "GUEST_ANNOUNCE", 22: "MQ",
        23: "CTRL_MAC_ADDR", 53: "VQ_NOTF_COAL", 54: "GUEST_USO4", 55: "GUEST_USO6", 56: "HOST_USO",
        57: "HASH_REPORT", 59: "GUEST_HDRLEN", 60: "RSS", 61: "RSC_EXT", 62: "STANDBY",
        63: "SPEED_DUPLEX",
    },
    "blk": {
        0: "BARRIER", 1: "SIZE_MAX", 2: "SEG_MAX", 4: "GEOMETRY", 5: "RO", 6: "BLK_SIZE", 7: "SCSI",
        9: "FLUSH", 10: "TOPOLOGY", 11: "CONFIG_WCE", 12: "MQ", 13: "DISCARD", 14: "WRITE_ZEROES",
        16: "SECURE_ERASE", 17: "ZONED",
    },
    "console": {0: "SIZE", 1: "MULTIPORT", 2: "EMERG_WRITE"},
    "balloon": {
        0: "MUST_TELL_HOST", 1: "STATS_VQ", 2: "DEFLATE_ON_OOM", 3: "FREE_PAGE_HINT", 4: "PAGE_POISON",
        5: "REPORTING",
    },
    "scsi": {0: "INOUT", 1: "HOTPLUG", 2: "CHANGE", 3: "T10_PI"},
    "gpu": {0: "VIRGL", 1: "EDID", 2: "RESOURCE_UUID", 3: "RESOURCE_BLOB", 4: "CONTEXT_INIT"},
    "iommu": {
        0: "INPUT_RANGE", 1: "DOMAIN_RANGE", 2: "MAP_UNMAP", 3: "BYPASS", 4: "PROBE", 5: "MMIO",
        6: "BYPASS_CONFIG",
    },
    "mem": {0: "ACPI_PXM", 1: "UNPLUGGED_INACCESSIBLE", 2: "PERSISTENT_SUSPEND"},
    "vsock": {0: "STREAM", 1: "SEQPACKET"},
    "crypto": {
        0: "REVISION_1", 1: "CIPHER_STATELESS", 2: "HASH_STATELESS", 3: "MAC_STATELESS",
        4: "AEAD_STATELESS",
    },
    "9p": {0: "MOUNT_TAG"},
    "fs": {0: "NOTIFICATION"},
}  # fmt: skip
_KINDS = {
    "virtio-net": "net", "virtio-blk": "blk", "virtio-scsi": "scsi", "virtio-console": "console",
    "virtio-serial": "console", "virtio-balloon": "balloon", "virtio-rng": "rng", "virtio-gpu": "gpu",
    "virtio-input": "input", "virtio-iommu": "iommu", "virtio-mem": "mem", "virtio-vsock": "vsock",
    "virtio-crypto": "crypto", "virtio-9p": "9p", "9pfs": "9p", "virtio-fs": "fs", "virtio-pmem": "pmem",
    "virtio-sound": "sound", "vhost-vsock": "vsock", "vhost-user-fs": "fs", "vhost-user-blk": "blk",
    "vhost-scsi": "scsi", "virtio-vhost-vsock": "vsock",
}  # fmt: skip


def kind_of(name: str) -> str:
    """The device type ("net", "blk", …) from a vmsd name or idstr; "" when unknown."""
    return _KINDS.get(name.rpartition("/")[2] or name, "")


def features(kind: str, known: bool = True, width: int = 64) -> Rule:
    """The rule that names the feature bits of a device type; ``width`` 32 for the low half."""
    names = {**_TRANSPORT, **_DEVICE_FEATURES.get(kind, {})}
    table = tuple(Bit(bit, names[bit]) for bit in sorted(names) if bit < width)
    return r.bits(*table, empty="none negotiated" if known else "")


def queue_name(kind: str, number: int, count: int) -> str:
    """What queue ``number`` of ``count`` is for (device-facts §3); "" when the type is unknown."""
    if kind == "net":
        if count % 2 and number == count - 1:
            return "control"
        return ("receive " if number % 2 == 0 else "transmit ") + str(number // 2)
    if kind == "console":
        if number in (2, 3):
            return "control receive" if number == 2 else "control transmit"
        port = 0 if number < 2 else number // 2 - 1
        return f"port {port} {'receive' if number % 2 == 0 else 'transmit'}"
    fixed = _QUEUES.get(kind, ())
    if number < len(fixed):
        return fixed[number]
    return f"request {number - len(fixed)}" if kind in _REQUESTS else ""


_QUEUES: dict[str, tuple[str, ...]] = {
    "scsi": ("control", "event"),
    "balloon": ("inflate", "deflate", "statistics", "free page hints", "reporting"),
    "rng": ("requests",),
    "gpu": ("control", "cursor"),
    "input": ("event", "status"),
    "iommu": ("request", "event"),
    "vsock": ("receive", "transmit", "event"),
    "mem": ("guest requests",),
    "fs": ("high priority",),
    "sound": ("control", "event", "transmit", "receive"),
    "pmem": ("request",),
}
_REQUESTS = frozenset({"blk", "scsi", "fs", "9p"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One field of a device configuration: ``size`` bytes; ``raw`` for bytes that are no number."""

    name: str
    size: int
    rule: Rule | None = None
    raw: bool = False


def _pages(count: int) -> str:
    return r.size_text(4096 * count)


def _sectors(count: int) -> str:
    return f"{r.size_text(512 * count)} in sectors of 512 bytes"


_LINK = r.bits(Bit(0, "LINK_UP"), Bit(1, "ANNOUNCE"))
CONFIG: dict[str, tuple[Entry, ...]] = {
    "net": (
        Entry("mac", 6, r.mac_address, raw=True), Entry("status", 2, _LINK),
        Entry("max_virtqueue_pairs", 2), Entry("mtu", 2),
        Entry("speed", 4, r.say("Mbit/s; all ones: unknown")),
        Entry("duplex", 1, r.words({0: "half", 1: "full", 0xFF: "unknown"})),
        Entry("rss_max_key_size", 1), Entry("rss_max_indirection_table_length", 2),
        Entry("supported_hash_types", 4),
    ),
    "blk": (
        Entry("capacity", 8, r.shown(_sectors)), Entry("size_max", 4), Entry("seg_max", 4),
        Entry("geometry.cylinders", 2), Entry("geometry.heads", 1), Entry("geometry.sectors", 1),
        Entry("blk_size", 4), Entry("physical_block_exp", 1), Entry("alignment_offset", 1),
        Entry("min_io_size", 2), Entry("opt_io_size", 4),
        Entry("wce", 1, r.words({0: "writethrough", 1: "writeback"})), Entry("unused", 1),
        Entry("num_queues", 2), Entry("max_discard_sectors", 4), Entry("max_discard_seg", 4),
        Entry("discard_sector_alignment", 4), Entry("max_write_zeroes_sectors", 4),
        Entry("max_write_zeroes_seg", 4), Entry("write_zeroes_may_unmap", 1),
        Entry("unused1", 3, raw=True), Entry("max_secure_erase_sectors", 4),
        Entry("max_secure_erase_seg", 4), Entry("secure_erase_sector_alignment", 4),
        Entry("zoned.zone_sectors", 4), Entry("zoned.max_open_zones", 4),
        Entry("zoned.max_active_zones", 4), Entry("zoned.max_append_sectors", 4),
        Entry("zoned.write_granularity", 4), Entry("zoned.model", 1), Entry("unused2", 3, raw=True),
    ),
    "console": (
        Entry("cols", 2), Entry("rows", 2), Entry("max_nr_ports", 4), Entry("emerg_wr", 4),
    ),
    "scsi": (
        Entry("num_queues", 4), Entry("seg_max", 4), Entry("max_sectors", 4), Entry("cmd_per_lun", 4),
        Entry("event_info_size", 4), Entry("sense_size", 4), Entry("cdb_size", 4),
        Entry("max_channel", 2), Entry("max_target", 2), Entry("max_lun", 4),
    ),
    "balloon": (
        Entry("num_pages", 4, r.shown(_pages)), Entry("actual", 4, r.shown(_pages)),
        Entry("free_page_hint_cmd_id", 4), Entry("poison_val", 4),
    ),
    "gpu": (
        Entry("events_read", 4), Entry("events_clear", 4), Entry("num_scanouts", 4),
        Entry("num_capsets", 4),
    ),
    "input": (
        Entry(
            "select", 1,
            r.words({0: "unset", 1: "ID_NAME", 2: "ID_SERIAL", 3: "ID_DEVIDS", 0x10: "PROP_BITS",
                     0x11: "EV_BITS", 0x12: "ABS_INFO"}),
        ),
        Entry("subsel", 1), Entry("size", 1), Entry("reserved", 5, raw=True), Entry("data", 128, raw=True),
    ),
    "iommu": (
        Entry("page_size_mask", 8), Entry("input_range.start", 8, r.address),
        Entry("input_range.end", 8, r.address), Entry("domain_range.start", 4),
        Entry("domain_range.end", 4), Entry("probe_size", 4), Entry("bypass", 1),
        Entry("reserved", 3, raw=True),
    ),
    "mem": (
        Entry("block_size", 8, r.byte_count), Entry("node_id", 2), Entry("padding", 6, raw=True),
        Entry("addr", 8, r.address), Entry("region_size", 8, r.byte_count),
        Entry("usable_region_size", 8, r.byte_count), Entry("plugged_size", 8, r.byte_count),
        Entry("requested_size", 8, r.byte_count),
    ),
    "vsock": (Entry("guest_cid", 8),),
    "fs": (Entry("tag", 36, raw=True), Entry("num_request_queues", 4)),
    "9p": (Entry("tag_len", 2),),
    "pmem": (Entry("start", 8, r.address), Entry("size", 8, r.byte_count)),
    "sound": (Entry("jacks", 4), Entry("streams", 4), Entry("chmaps", 4)),
    "crypto": (
        Entry("status", 4), Entry("max_dataqueues", 4), Entry("crypto_services", 4),
        Entry("cipher_algo_l", 4), Entry("cipher_algo_h", 4), Entry("hash_algo", 4),
        Entry("mac_algo_l", 4), Entry("mac_algo_h", 4), Entry("aead_algo", 4),
        Entry("max_cipher_key_len", 4), Entry("max_auth_key_len", 4), Entry("akcipher_algo", 4),
        Entry("max_size", 8),
    ),
}  # fmt: skip
"""Device configuration by device type, in order, no padding between (virtio 1.2 §5)."""
