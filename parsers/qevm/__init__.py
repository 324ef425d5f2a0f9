"""qevm: a library that reads QEMU migration streams.  Bytes in, sections and fields out."""

__version__ = "0.1.0"
