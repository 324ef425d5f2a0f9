"""Writing a file whole or not at all.

It is written beside its target under a temporary name and takes the target's name when it is complete, so
that a full disk, a missing permission or Ctrl-C leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qevm import safetext
from qevm.problems import QevmError


class ExportError(QevmError):
    """Nothing was written.  ``str()`` says why in one line."""


class TargetExists(ExportError):
    """The file is there and ``force`` was not given."""


@contextlib.contextmanager
def whole_file(target: Path, *, force: bool = False) -> Iterator[int]:
    """The descriptor of a new file that becomes ``target`` when the block ends without an exception.

    Raises TargetExists without ``force``, ExportError when it cannot be written.  An OSError in the
    block becomes an ExportError.
    """
    name = safetext.safe(str(target))
    if target.is_dir():
        raise ExportError(f"{name}: is a directory")
    if not force and os.path.lexists(target):
        raise TargetExists(f"{name}: exists; not overwritten")
    descriptor, temporary = -1, ""
    try:
        descriptor, temporary = tempfile.mkstemp(
            prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent
        )
        yield descriptor
        os.fchmod(descriptor, 0o666 & ~_umask())
        _place(temporary, target, force)
        temporary = ""
    except FileExistsError as error:
        raise TargetExists(f"{name}: exists; not overwritten") from error
    except OSError as error:
        why = error.strerror or error
        raise ExportError(f"{name}: cannot write: {why}; nothing was left behind") from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def keep_file(target: Path, data: bytes, *, sync: bool = False) -> None:
    """Write what qevm keeps for itself: ``data`` becomes ``target``, which only the user can read.

    Folders above it are made.  ``sync``: it is on the disk when this returns.  Raises OSError, and leaves
    nothing behind then.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix="new-", dir=target.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(target)
        temporary = ""
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _place(temporary: str, target: Path, force: bool) -> None:
    if not force:
        try:
            # A link fails where a rename would overwrite a file made meanwhile.
            os.link(temporary, target)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links.
            if os.path.lexists(target):
                raise FileExistsError(str(target)) from None
        else:
            Path(temporary).unlink()
            return
    Path(temporary).replace(target)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
