"""Capture: what a caller opens; the one façade that the UI and the command line use.

    capture = Capture.open("guest.bin")
    for _ in capture.walk():          # resumable: stop iterating, call walk() again to go on
        ...
    section = capture.find("cpu@0")[0]
    root = capture.decode(section)    # a Field tree
"""

from __future__ import annotations
