"""Makes a consumer's volume a full disk for its own processes: `python -m tests.marathon.full_disk PROCESS WHAT`.

WHAT is fill, write (a proof) or free; VOLUME and an empty folder may follow.

In the process's mount namespace a small file system in memory, full with a ballast file, is laid over the volume
(overlayfs): what is there can be read, and whatever is written is refused for want of room, by the kernel. Hours that
are over are hidden meanwhile: the consumer would make room by removing the oldest one, which here cannot succeed.
It prints its answer as JSON. Free it again with the same process's namespace; it ends with the container too.
"""

import contextlib
import ctypes
import errno
import json
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from apps.messages.identity import HOUR

FILL, WRITE, FREE = "fill", "write", "free"
VOLUME = Path("/data")
SMALL = Path("/mnt")
"""An empty folder of every image of Debian's."""
_SIZE = "256k"
_CLONE_NEWNS = 0x00020000
_MNT_DETACH = 2


def fill(volume: Path = VOLUME, small: Path = SMALL) -> str:
    """Lay the full file system over the volume."""
    _mount("tmpfs", small, "tmpfs", f"size={_SIZE},mode=755")
    upper, work = small / "upper", small / "work"
    for folder in (upper, work):
        folder.mkdir()
    owner = volume.stat()
    os.chown(upper, owner.st_uid, owner.st_gid)
    upper.chmod(stat.S_IMODE(owner.st_mode))
    newest = max((hour.name for hour in volume.glob("*/*") if HOUR.fullmatch(hour.name)), default="")
    for camera in (each for each in volume.iterdir() if each.is_dir() and not each.name.startswith(".")):
        hidden = [hour.name for hour in camera.iterdir() if HOUR.fullmatch(hour.name) and hour.name != newest]
        if hidden:
            _copied(camera, upper / camera.name)
        for hour in hidden:
            # overlayfs takes a device 0/0 for a name that was removed.
            os.mknod(upper / camera.name / hour, stat.S_IFCHR, os.makedev(0, 0))
    _mount("overlay", volume, "overlay", f"lowerdir={volume},upperdir={upper},workdir={work}")
    size = 0
    with (small / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            size += ballast.write(b"\0" * 4096)
    return f"{size} bytes of ballast"


def write(volume: Path = VOLUME) -> str:
    """The error of a write to the volume. Raises an error if it succeeds."""
    probe = volume / f".marathon-{datetime.now(UTC):%H%M%S%f}"
    try:
        with probe.open("wb", buffering=0) as file:
            file.write(b"x")
    except OSError as refused:
        if refused.errno != errno.ENOSPC:
            raise
        return str(refused.strerror)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    raise SystemExit(f"a write to {volume} was not refused")


def free(mounts: IO[str], volume: Path = VOLUME, small: Path = SMALL) -> str:
    """Take the full file system away; the volume is as it was. Harmless where there is none.

    `mounts` is a process's open /proc/…/mounts of this namespace: a container's own /proc does not know this process.
    """
    for path, kind in ((volume, "overlay"), (small, "tmpfs")):
        while True:
            mounts.seek(0)
            if mounted(mounts.read(), path) != kind:
                break
            _call("umount2", os.fsencode(path), _MNT_DETACH)
    return "free"


def mounted(mounts: str, path: Path) -> str | None:
    """The kind of the file system that is uppermost at a path, from the text of /proc/self/mounts."""
    found = [line.split(" ")[2] for line in mounts.splitlines() if line.split(" ")[1] == str(path)]
    return found[-1] if found else None


def _copied(folder: Path, copy: Path) -> None:
    """A folder of the same owner and rights."""
    owner = folder.stat()
    copy.mkdir()
    os.chown(copy, owner.st_uid, owner.st_gid)
    copy.chmod(stat.S_IMODE(owner.st_mode))


def _mount(source: str, target: Path, kind: str, options: str) -> None:
    _call("mount", source.encode(), os.fsencode(target), kind.encode(), 0, options.encode())


def _call(function: str, *arguments: bytes | int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")


def _enter(process: int) -> None:
    """Go into the mount namespace of a process. What Python needs later must be imported before."""
    with Path(f"/proc/{process}/ns/mnt").open("rb") as namespace:
        _call("setns", namespace.fileno(), _CLONE_NEWNS)


def main(process: int, what: str, volume: str = str(VOLUME), small: str = str(SMALL)) -> str:
    """Do one of the three in the mount namespace of a process; return the answer."""
    paths = Path(volume), Path(small)
    with Path(f"/proc/{process}/mounts").open() as mounts:
        _enter(process)
        match what:
            case "fill":
                # An earlier marathon may have left its own.
                free(mounts, *paths)
                return fill(*paths)
            case "write":
                return write(paths[0])
            case "free":
                return free(mounts, *paths)
            case _:
                raise SystemExit(f"{what} is none of {FILL}, {WRITE} and {FREE}")


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), *sys.argv[2:])))
