import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import services
from lab.services import Service
from tests.unit.waiting import wait_for


@pytest.fixture
def service(lab_state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A real service: a file server on a free port of this host."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (lab_state / "files").mkdir()
    command = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "-d", str(lab_state / "files"), str(port))
    made = Service(name="files", command=command, url=f"http://127.0.0.1:{port}/")
    monkeypatch.setattr(services, "MIRROR_FOLDER", lab_state / "mirror")
    monkeypatch.setattr(services, "services", lambda: (made,))
    yield made
    services.stop(made.name)


def supervisor(service: Service, state: Path) -> int:
    pid = json.loads((state / "services" / f"{service.name}.json").read_text())["pid"]
    assert isinstance(pid, int)
    return pid


def child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def eventually(service: Service, state: str) -> None:
    wait_for(lambda: services.status(service) == state)


def test_a_service_is_started_once_and_stopped(service: Service, lab_state: Path) -> None:
    services.ensure()
    first = supervisor(service, lab_state)
    assert services.status(service) == "ready"
    services.ensure()
    assert supervisor(service, lab_state) == first
    services.stop_all()
    assert services.status(service) == "stopped"
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", int(service.command[-1])), timeout=1):
        pass


def test_a_program_that_dies_is_started_again(service: Service, lab_state: Path) -> None:
    services.ensure()
    pid = supervisor(service, lab_state)
    died = child(pid)
    os.kill(died, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{died}").exists())
    eventually(service, "ready")
    assert supervisor(service, lab_state) == pid
    assert child(pid) != died


def test_a_pid_file_of_a_process_long_gone_stops_nobody(service: Service, lab_state: Path) -> None:
    pid_file = lab_state / "services" / "files.json"
    pid_file.parent.mkdir()
    pid_file.write_text(json.dumps({"pid": os.getpid(), "started": 1, "spec": service.spec}))
    assert services.status(service) == "stopped"
    services.ensure()
    assert supervisor(service, lab_state) != os.getpid()
    assert services.status(service) == "ready"


def test_a_torn_pid_file_is_as_none(service: Service, lab_state: Path) -> None:
    pid_file = lab_state / "services" / "files.json"
    pid_file.parent.mkdir()
    pid_file.write_text('{"pid": 1')
    services.ensure()
    assert services.status(service) == "ready"


def test_the_registry_listens_on_the_bridge_only_and_keeps_its_images_in_the_cache() -> None:
    registry, mirror = services.services()
    [config] = registry.files.values()
    assert json.loads(config)["http"] == {"addr": "10.77.0.1:5000"}
    assert json.loads(config)["storage"]["filesystem"]["rootdirectory"] == str(services.CACHE / "registry")
    assert mirror.command[mirror.command.index("--bind") + 1] == "10.77.0.1"
