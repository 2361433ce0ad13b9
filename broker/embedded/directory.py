"""The data directory: what lies where in it, and on which disks it may lie."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path

from broker.interface import Unavailable

_MOUNTS = Path("/proc/mounts")

# SQLite's write-ahead log needs shared memory and locks that all its processes see: these file systems do not promise them.
_NETWORK = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
    }
    | {"glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb2", "smb3", "smbfs"}
)


class LogFile(enum.IntEnum):
    """One of the two database files. Apart, because one big transaction of an export would hold up every event."""

    EVENTS = 0
    EXPORTS = 1

    @classmethod
    def of(cls, topic: str) -> LogFile:
        """Return the file that holds `topic`."""
        return cls.EVENTS if topic.startswith("ecommerce.") else cls.EXPORTS


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The places in a data directory."""

    root: Path

    def database(self, file: LogFile) -> Path:
        """Return where a database file is; its write-ahead log and shared memory lie beside it."""
        return self.root / f"{file.name.lower()}.db"

    def caretaker(self, file: LogFile) -> Path:
        """Return what is locked by the one process that checkpoints, deletes and compacts."""
        return self.root / f"{file.name.lower()}.lock"

    @property
    def setup(self) -> Path:
        """What is locked by the process that creates the files."""
        return self.root / "setup.lock"

    @property
    def wake(self) -> Path:
        """Where readers leave the FIFOs that wake them."""
        return self.root / "wake"

    def create(self) -> None:
        """Make the directory, readable by its owner only, if it is not there. Blocks. Raises Unavailable."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            kind = file_system(self.root)
            if kind in _NETWORK:
                raise Unavailable(
                    f"{self.root} lies on a network file system ({kind}): set broker.path to a local disk"
                )
            self.wake.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"the data directory {self.root} cannot be made: {error.strerror}") from error

    def bytes_used(self) -> int:
        """Return what both files take on the disk, write-ahead logs included. Blocks."""
        paths = (
            path.with_name(path.name + suffix)
            for path in map(self.database, LogFile)
            for suffix in ("", "-wal", "-shm")
        )
        return sum(path.stat().st_size for path in paths if path.exists())


def file_system(path: Path) -> str | None:
    """Return the type of the file system that holds `path`; None where the system does not tell. Blocks."""
    if not _MOUNTS.exists():
        return None
    place = os.path.realpath(path)
    best, kind = "", None
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, mounted, type_, *_ = line.split(" ")
        # Blanks in a mount point are written as octal escapes.
        mount = mounted.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        # Of two on one mount point the later one is seen.
        if inside and len(mount) >= len(best):
            best, kind = mount, type_
    return kind
