import threading
from pathlib import Path

import pytest

from apps.producer.memory import MIB, Room, TooLarge, most_video_pixels, pod_memory
from tests.unit.waiting import wait_for


@pytest.mark.parametrize(
    ("file", "told", "bytes_"),
    [
        ("memory.max", "268435456\n", 256 * MIB),
        ("memory.max", "max\n", 512 * MIB),
        ("memory.max", "1000\n", 1000),
        ("memory/memory.limit_in_bytes", "268435456\n", 256 * MIB),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", 512 * MIB),
        ("none", "1000\n", 512 * MIB),
    ],
)
def test_the_pod_s_memory_is_what_the_kernel_allows(tmp_path: Path, file: str, told: str, bytes_: int) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(told)
    assert pod_memory(tmp_path) == bytes_


def test_what_never_fits_is_refused_at_once() -> None:
    with pytest.raises(TooLarge, match="decoding takes 3 MiB of memory, 2 are allowed"), Room(2 * MIB).taken(3 * MIB):
        pass


def test_what_fits_later_waits_for_the_others() -> None:
    room, done = Room(10), threading.Event()

    def work() -> None:
        with room.taken(7):
            done.set()

    other = threading.Thread(target=work)
    with room.taken(4):
        with room.taken(6):
            other.start()
            assert not done.wait(0.05)
        assert not done.wait(0.05)
    other.join(10)
    assert done.is_set()
    with room.taken(10):
        pass


def test_room_is_given_back_after_an_error() -> None:
    room = Room(10)
    with pytest.raises(ZeroDivisionError), room.taken(10):
        raise ZeroDivisionError
    with room.taken(10):
        pass


def test_a_4k_camera_fits_a_pod_of_the_usual_size() -> None:
    assert 3840 * 2160 < most_video_pixels(512 * MIB // 3) < 7680 * 4320


def test_threads_never_take_more_than_there_is() -> None:
    room, lock, taken, most = Room(10), threading.Lock(), [0], [0]

    def work(size: int) -> None:
        for _ in range(50):
            with room.taken(size):
                with lock:
                    taken[0] += size
                    most[0] = max(most[0], taken[0])
                with lock:
                    taken[0] -= size

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 3, 5, 7, 10)]
    for thread in threads:
        thread.start()
    wait_for(lambda: not any(thread.is_alive() for thread in threads))
    assert 0 < most[0] <= 10
