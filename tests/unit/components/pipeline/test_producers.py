"""How cameras are spread over producers."""

from components.pipeline.producers import assign, camera_ports

NAMES = [f"camera-{n}" for n in range(40)]


def test_every_camera_has_one_producer_and_shares_are_even() -> None:
    shares = assign(NAMES, 4)
    assert sorted(name for share in shares for name in share) == sorted(NAMES)
    assert [len(share) for share in shares] == [10, 10, 10, 10]


def test_the_order_of_cameras_does_not_matter() -> None:
    assert assign(NAMES, 4) == assign(NAMES[::-1], 4)


def test_a_new_camera_moves_few_others() -> None:
    before, after = assign(NAMES[:-1], 4), assign(NAMES, 4)
    moved = sum(len(set(old) - set(new)) for old, new in zip(before, after, strict=True))
    assert moved <= 3


def test_cameras_are_reached_at_the_ports_of_their_urls() -> None:
    urls = ["rtsp://a/1", "rtsp://b:8554/1", "rtsps://c", "http://d/x", "https://e", "file:///f", "synthetic://street"]
    assert camera_ports(urls) == [80, 322, 443, 554, 8554]
    assert camera_ports(["synthetic://street", "file:///clip.mp4"]) == []
