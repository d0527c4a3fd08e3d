"""The host's services for the machines: an image registry and a file mirror, each with its own supervisor."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from components.production import serving
from lab.config import CACHE, GATEWAY, LOGS, MIRROR, MIRROR_PORT, REGISTRY, ROOT, STATE, LabError
from lab.progress import step, wait_for

MIRROR_FOLDER = CACHE / "mirror"
_PIDS = STATE / "services"
_REGISTRY_CONFIG = STATE / "registry.yml"
_READY_SECONDS = 30
_STOP_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class Service:
    """A long-running program of the lab, and the URL that answers once it is ready."""

    name: str
    command: tuple[str, ...]
    url: str
    files: dict[Path, str] = field(default_factory=dict)
    """Its configuration files, written before it starts: text by path."""

    @property
    def spec(self) -> str:
        """A hash of its command and files; a change means that it must be restarted."""
        recipe = repr((self.command, sorted((str(path), text) for path, text in self.files.items())))
        return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def services() -> tuple[Service, ...]:
    """The registry and the mirror. They listen on the bridge, so that machines reach them but other hosts do not."""
    registry = Service(
        name="registry",
        command=serving.registry_command(_REGISTRY_CONFIG),
        url=f"http://{REGISTRY}/v2/",
        files={_REGISTRY_CONFIG: serving.registry_config(CACHE / "registry", REGISTRY)},
    )
    command = serving.files_command(MIRROR_FOLDER, str(GATEWAY), MIRROR_PORT)
    mirror = Service(name="mirror", command=command, url=f"{MIRROR}/")
    return registry, mirror


def ensure() -> None:
    """Start services that are not running, restart those whose settings changed, and wait until all answer."""
    MIRROR_FOLDER.mkdir(parents=True, exist_ok=True)
    with step("registry and mirror"):
        for service in services():
            if _supervisor(service.name) is None or _recorded(service.name).get("spec") != service.spec:
                stop(service.name)
                _start(service)
            wait_for(service.name, partial(_silent, service), timeout=_READY_SECONDS)


def stop(name: str) -> None:
    """Stop a service with its supervisor, unless the process ID in the file belongs to another process now."""
    pid = _supervisor(name)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        wait_for(f"{name} to stop", lambda: f"process {pid}" if _supervisor(name) else None, timeout=_STOP_SECONDS)
    _pid_file(name).unlink(missing_ok=True)


def stop_all() -> None:
    """Stop every service."""
    for service in services():
        stop(service.name)
        for path in service.files:
            path.unlink(missing_ok=True)


def status(service: Service) -> str:
    """The service's state, in a word or a line."""
    if _supervisor(service.name) is None:
        return "stopped"
    return _silent(service) or "ready"


def require() -> None:
    """Raise LabError with the names of services that are not ready."""
    if silent := [service.name for service in services() if status(service) != "ready"]:
        raise LabError(f"the {' and the '.join(silent)} of the lab must run first: `make up`")


def _start(service: Service) -> None:
    for folder in (LOGS, _PIDS):
        folder.mkdir(parents=True, exist_ok=True)
    for path, text in service.files.items():
        path.write_text(text)
    log = LOGS / f"{service.name}.log"
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.supervisor", str(log), *service.command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    record = {"pid": process.pid, "started": _start_time(process.pid), "spec": service.spec}
    _pid_file(service.name).write_text(json.dumps(record) + "\n")


def _supervisor(name: str) -> int | None:
    """The process ID of a running supervisor, or None. A process that reuses the ID has another start time."""
    record = _recorded(name)
    pid = record.get("pid")
    if not isinstance(pid, int) or _start_time(pid) is None or _start_time(pid) != record.get("started"):
        return None
    return pid


def _recorded(name: str) -> dict[str, object]:
    try:
        record = json.loads(_pid_file(name).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _pid_file(name: str) -> Path:
    return _PIDS / f"{name}.json"


def _start_time(pid: int) -> int | None:
    """When the process began, in clock ticks since the host's boot; None if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name, in parentheses, may contain spaces; the fields after it do not.
    state, *fields = text.rpartition(")")[2].split()
    return None if state == "Z" else int(fields[18])


def _silent(service: Service) -> str | None:
    try:
        with urllib.request.urlopen(service.url, timeout=3):
            return None
    except (urllib.error.URLError, OSError) as error:
        return f"{service.url}: {error} (log: {LOGS / service.name}.log)"
