"""sftp:// with the host keys checked and ~/.ssh/config heeded, as ``ssh`` itself does.

fsspec's own sftp file system accepts any host key and knows no configuration.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from qevm.problems import CannotOpen


def connect(url: str) -> tuple[Any, str]:
    """(fsspec file system, path on it) for ``sftp://[user[:password]@]host[:port]/path``.

    Host aliases, user, port and identity files come from ~/.ssh/config, keys from there or the agent.
    Raises CannotOpen for an unknown host key or when paramiko is missing.
    """
    try:
        paramiko = importlib.import_module("paramiko")
        base: Any = importlib.import_module("fsspec.implementations.sftp").SFTPFileSystem
    except ImportError:
        raise CannotOpen(f"{url.split('://')[0]}: to open it, pip install 'qevm[remote]'") from None
    parts = urlsplit(url)
    if not parts.hostname:
        raise CannotOpen("the URL names no host: sftp://[user@]host[:port]/path")
    found = _configured(paramiko, parts.hostname)
    settings: dict[str, Any] = {
        "port": parts.port or int(found.get("port", 22)),
        "username": unquote(parts.username) if parts.username else found.get("user"),
        "password": unquote(parts.password) if parts.password else None,
        "key_filename": found.get("identityfile"),
        "timeout": 20,
    }
    host = str(found.get("hostname", parts.hostname))

    class CheckedSftp(base):  # type: ignore[misc]
        """fsspec's sftp file system, connecting only to hosts that known_hosts names."""

        cachable = False

        def _connect(self) -> None:
            self.client = paramiko.SSHClient()
            self.client.load_system_host_keys()
            self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
            self.client.connect(self.host, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()

        def disconnect(self) -> None:
            """End the ssh connection."""
            self.client.close()

    try:
        filesystem = CheckedSftp(host, **{k: v for k, v in settings.items() if v is not None})
    except paramiko.BadHostKeyException as error:
        raise CannotOpen(
            f"sftp://{host}: the host key is not the one in known_hosts: not connected"
        ) from error
    except paramiko.AuthenticationException as error:
        raise CannotOpen(f"sftp://{host}: login refused: {error}") from error
    except paramiko.SSHException as error:
        hint = "; connect once with ssh to check its key" if "known_hosts" in str(error) else ""
        raise CannotOpen(f"sftp://{host}: {error}{hint}") from error
    return filesystem, unquote(parts.path)


def _configured(paramiko: Any, host: str) -> dict[str, Any]:
    config = Path("~/.ssh/config").expanduser()
    try:
        return dict(paramiko.SSHConfig.from_path(str(config)).lookup(host))
    except (OSError, paramiko.ConfigParseError):
        return {}
