"""Matches a regular expression in a process of its own: one that takes forever can be killed.

Started by ``qevm.search.regex`` as a script.  Input: the length of the expression (4 bytes, little-endian)
and the expression; then requests: number of spans, number of bytes, four numbers a span (where to begin,
where to end, which starts count: from, below), the bytes.  Answer to each: the number of matches, start and
end of each.
"""

import re
import resource
import struct
import sys

_MEMORY = 1 << 30


def main() -> None:
    """Answer requests until there are none."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    given, answer = sys.stdin.buffer, sys.stdout.buffer
    (length,) = struct.unpack("<I", given.read(4))
    finditer = re.compile(given.read(length), re.DOTALL).finditer
    while len(head := given.read(8)) == 8:
        spans, size = struct.unpack("<II", head)
        numbers = struct.unpack(f"<{4 * spans}I", given.read(16 * spans))
        data = given.read(size)
        found: list[int] = []
        for at in range(0, len(numbers), 4):
            begin, end, low, high = numbers[at : at + 4]
            for match in finditer(data, begin, end):
                start, stop = match.span()
                if start >= high:
                    break
                if low <= start < stop:
                    found += (start, stop)
        answer.write(struct.pack(f"<I{len(found)}I", len(found) // 2, *found))
        answer.flush()


main()
