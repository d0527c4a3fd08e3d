"""The JPEGs that the lab's cameras send, in memory. Needs only the standard library."""

from pathlib import Path

_END, _START = b"\xff\xd9", b"\xff\xd8"


def jpegs(folder: Path, count: int) -> list[bytes]:
    """So many pictures, spread evenly over all clips and their times, or all if there are fewer."""
    found = [jpeg for file in sorted(folder.glob("*.mjpeg")) for jpeg in split(file.read_bytes())]
    if not found:
        raise FileNotFoundError(f"{folder} has no .mjpeg files")
    # In steps that take turns with the clips, so that neighbours are unlike, as in a batch of many cameras.
    return [found[place * len(found) // count] for place in range(min(count, len(found)))]


def split(data: bytes) -> list[bytes]:
    """The JPEGs that follow one another."""
    parts = data.split(_END + _START)
    return [
        (b"" if place == 0 else _START) + part + (b"" if place == len(parts) - 1 else _END)
        for place, part in enumerate(parts)
    ]
