"""Pictures of H.264 that are lost whole are found by their numbers, and no others."""

import re
from fractions import Fraction

import av
import numpy as np
import pytest

from apps.producer.sources.h264 import FrameNumbers

Packets = list[tuple[bytes, bool, bool]]


def encoded(count: int = 60, **options: str) -> Packets:
    """Packets of a moving picture in the order of decoding: bytes, whether a key frame, whether others need it."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = (
        96,
        64,
        options.pop("format", "yuv420p"),
        Fraction(1, 25),
    )
    codec.options = {"preset": "veryfast", "g": "30", "sc_threshold": "0", "bf": "0", **options}
    texture = np.random.default_rng(3).integers(0, 255, (64, 96, 3), np.uint8)
    packets: Packets = []
    for number in range(count + 1):
        frame = None
        if number < count:
            frame = av.VideoFrame.from_ndarray(np.roll(texture, number, 1), format="rgb24")
            frame.pts = number
        for packet in codec.encode(frame):
            slices = re.findall(rb"\x00\x00\x01([\x01\x05\x21\x25\x41\x45\x61\x65])", bytes(packet))
            packets.append((bytes(packet), bool(packet.is_keyframe), slices[0][0] & 0x60 != 0))
    return packets


def found(packets: Packets) -> list[int]:
    """The packets before which a picture is missing."""
    numbers = FrameNumbers(None)
    return [place for place, (data, key, _) in enumerate(packets) if numbers.lost(data, key)]


KINDS = {
    "plain": {},
    "baseline": {"profile": "baseline"},
    "main": {"profile": "main", "preset": "medium"},
    "pictures in both directions": {"bf": "2", "b_strategy": "0"},
    "which others need": {"bf": "3", "b_strategy": "0", "x264-params": "b-pyramid=normal"},
    "several slices": {"slices": "4"},
    "scaling lists": {"preset": "medium", "x264-params": "cqm=jvt"},
    "all colours": {"format": "yuv444p", "x264-params": "cqm=jvt"},
    "fields": {"x264-params": "interlaced=1"},
    "numbers that begin anew": {"g": "600"},
    "without key frames": {"x264-params": "intra-refresh=1"},
    "many references": {"refs": "5", "preset": "medium"},
    "another order": {"x264-params": "bframes=0", "tune": "zerolatency"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_stream_has_no_gap(kind: str) -> None:
    packets = encoded(400 if kind == "numbers that begin anew" else 60, **KINDS[kind])
    assert found(packets) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_picture_is_found_at_the_next(kind: str) -> None:
    packets = encoded(**KINDS[kind])
    for gone in range(5, 25):
        rest = packets[:gone] + packets[gone + 1 :]
        if packets[gone][2] and not packets[gone][1] and not packets[gone + 1][1]:
            assert found(rest)[:1] == [gone], (gone, found(rest))


def test_a_lost_picture_that_no_other_needs_is_not_missed() -> None:
    packets = encoded(**KINDS["pictures in both directions"])
    spare = [place for place, (_, _, needed) in enumerate(packets) if not needed]
    assert spare
    assert found([each for place, each in enumerate(packets) if place != spare[3]]) == []


def test_a_key_frame_ends_it() -> None:
    packets = encoded()
    assert packets[30][1]
    assert found(packets[:10] + packets[30:]) == []


def test_the_description_may_have_the_parameters() -> None:
    packets = encoded(**{"x264-params": "repeat-headers=1"})
    first = packets[0][0]
    at = first.index(b"\x00\x00\x01\x65") if b"\x00\x00\x01\x65" in first else len(first)
    bare = [(first[at:], True, True), *packets[1:10], *packets[12:20]]
    numbers = FrameNumbers(first[:at])
    assert [place for place, (data, key, _) in enumerate(bare) if numbers.lost(data, key)] == [10]
    assert found(bare) == []


@pytest.mark.parametrize(
    "damage", [lambda data: data[:6], lambda data: b"", lambda data: b"\x00\x00\x01", bytes.swapcase]
)
def test_damage_raises_nothing(damage: object) -> None:
    packets = [(damage(data), key, needed) for data, key, needed in encoded()]  # type: ignore[operator]
    found(packets)
