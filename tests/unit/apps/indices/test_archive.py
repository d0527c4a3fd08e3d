"""What the consumers say of their disks, by their own server."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from apps.consumer.files import file_handler
from apps.consumer.records import Kind, StoredFile
from apps.consumer.storage import DiskStore, HourDirectory
from apps.indices.archive import fetch, store_again, stored
from apps.indices.identities import Slot
from apps.messages import frame_path, result_path
from apps.service.certificate import Certificate
from apps.service.http import Server
from apps.service.peer import TLS_VERSION, Client, Door, trust
from apps.service.token import Token
from tests.certificates import AUTHORITY, HERE, PodAuthority, of_pods
from tests.environments import AUTHORITY_FILE, TOKEN_FILE

AT = datetime(2026, 11, 23, 22, 14, tzinfo=UTC)
SLOT = Slot("2026-11-23T22", "gate", "objects")
NOBODY = "https://127.0.0.1:9"
POD = Client(Token(TOKEN_FILE), trust(AUTHORITY_FILE))
DOOR = Door(POD.token, Certificate(of_pods(), TLS_VERSION))


@pytest.fixture
def consumer(tmp_path: Path) -> Iterator[str]:
    store = DiskStore(tmp_path)
    for number in (1, 2):
        files: tuple[tuple[Kind, PurePosixPath], ...] = (
            ("result", result_path("gate", AT, number, "objects")),
            ("frame", frame_path("gate", AT, number)),
            ("result", result_path("gate", AT.replace(hour=21), number, "objects")),
            ("result", result_path("yard", AT, number, "motion")),
        )
        for kind, path in files:
            store.write(StoredFile(kind=kind, path=path, captured_at=AT, data=str(path).encode()))
    store.flush()
    server = Server(0, file_handler(store), DOOR)
    yield f"https://127.0.0.1:{server.port}"
    server.close()
    store.close()


def test_results_of_the_hours_asked_for_are_listed(consumer: str) -> None:
    found = stored([consumer], {SLOT.hour}, POD)
    assert found.unanswered == []
    assert found.results.slots == {SLOT, Slot(SLOT.hour, "yard", "motion")}
    assert found.results.of(SLOT) == {1, 2}
    assert len(stored([consumer], {"2026-11-23T20"}, POD).results) == 0


def test_frames_are_listed_with_who_has_the_newest_of_a_camera(consumer: str) -> None:
    found = stored([consumer], {SLOT.hour}, POD)
    assert found.frames.slots == {SLOT.frames}
    assert found.frames.of(SLOT.frames) == {1, 2}
    assert found.holders == {"gate": consumer, "yard": consumer}
    assert not found.was_to_go(SLOT)


def test_what_a_consumer_has_removed_was_to_go(consumer: str, tmp_path: Path) -> None:
    DiskStore(tmp_path).note_removed([HourDirectory(hour="2026-11-23T20", camera="gate")])
    found = stored([consumer], {SLOT.hour}, POD)
    assert found.was_to_go(Slot("2026-11-23T20", "gate", "objects"))
    assert not found.was_to_go(Slot("2026-11-23T21", "gate", "objects"))
    assert not found.was_to_go(Slot("2026-11-23T19", "yard", "objects"))


def test_a_consumer_that_does_not_answer_is_named(consumer: str) -> None:
    found = stored([NOBODY, consumer], {SLOT.hour}, POD)
    assert found.unanswered == [NOBODY]
    assert len(found.results) == 4


def test_a_result_is_fetched_from_whoever_has_it(consumer: str) -> None:
    assert fetch([NOBODY, consumer], SLOT, 2, POD) == b"gate/2026-11-23T22/2.objects.json"
    assert fetch([consumer], SLOT, 3, POD) is None
    assert fetch([NOBODY], SLOT, 2, POD) is None


def test_without_the_token_a_consumer_tells_nothing(consumer: str, tmp_path: Path) -> None:
    (other := tmp_path / "other").write_text("of somebody else")
    stranger = Client(Token(other), POD.trust)
    assert fetch([consumer], SLOT, 2, stranger) is None
    found = stored([consumer], {SLOT.hour}, stranger)
    assert (len(found.results), found.unanswered) == (0, [consumer])


def test_who_does_not_show_a_certificate_of_the_stack_s_is_not_believed(consumer: str, tmp_path: Path) -> None:
    elsewhere = Client(POD.token, trust(PodAuthority().write(tmp_path / "tls", *HERE) / AUTHORITY))
    assert fetch([consumer], SLOT, 2, elsewhere) is None
    assert stored([consumer], {SLOT.hour}, elsewhere).unanswered == [consumer]
    with pytest.raises(OSError, match="certificate verify failed"):
        store_again(consumer, [("frames", 0, 1)], elsewhere)
