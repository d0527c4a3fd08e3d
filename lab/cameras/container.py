"""The container `cameras`, which holds only one static program, its clips and their pictures."""

import hashlib
import json
import shutil
import socket
import tempfile
from pathlib import Path

from lab.cameras import clips
from lab.config import CACHE, CAMERAS_ADDRESS, CAMERAS_HTTP_PORT, CAMERAS_PORT, LOGS, NETWORK
from lab.podman import inspect_container, podman, remove_container, running, succeeds
from lab.progress import now, wait_for
from lab.toolchain import go_compiler
from lab.toolchain.go_programs import GoGroup, build

NAME = "cameras"
CONTAINER = f"{NETWORK}-{NAME}"
_SERVER = GoGroup(name="camera-server", source=Path(__file__).parent / "server", programs={"camera-server": "."})
REPOSITORY = "localhost/argus-cameras"
_START_SECONDS = 30


def ensure() -> None:
    """Make and start the cameras, and wait until they answer."""
    reference = _ensure_image()
    container = inspect_container(CONTAINER)
    if container is not None and (
        container["ImageName"] != reference or container["State"]["Status"] not in {"running", "exited", "stopped"}
    ):
        remove_container(CONTAINER)
        container = None
    if container is None:
        podman(
            *("create", f"--name={CONTAINER}", f"--hostname={NAME}", "--label=dev.argus.lab=cameras"),
            *(f"--network={NETWORK}", f"--ip={CAMERAS_ADDRESS}", "--read-only", "--cap-drop=all", "--user=65534:65534"),
            reference,
        )
    start()


def start() -> None:
    """Start the container if it is stopped, and wait until it accepts connections."""
    if not running(CONTAINER):
        now(f"starting the cameras at rtsp://{CAMERAS_ADDRESS}:{CAMERAS_PORT}")
        podman("start", CONTAINER)
    wait_for("the cameras", _not_ready, timeout=_START_SECONDS)


def kill() -> None:
    """Stop all cameras at once, without warning."""
    podman("kill", "--signal", "KILL", CONTAINER)
    wait_for("the cameras to stop", lambda: "they still run" if running(CONTAINER) else None, timeout=_START_SECONDS)


def remove() -> None:
    """Remove the container; its image stays."""
    remove_container(CONTAINER)


def status() -> str:
    """The cameras' state, in a word or a line."""
    if inspect_container(CONTAINER) is None:
        return "absent"
    return _not_ready() or "ready"


def _ensure_image() -> str:
    footage, pictures = clips.ensure(), clips.ensure_pictures()
    go = go_compiler.ensure()
    key = _SERVER.key(go.version)
    binaries = CACHE / "cameras" / f"server-{key}"
    if not binaries.is_dir():
        build(_SERVER, binaries, LOGS / "camera-server.log", go)
    identity = hashlib.sha256(f"{key} {footage.name} {pictures.name}".encode()).hexdigest()[:12]
    reference = f"{REPOSITORY}:{identity}"
    if succeeds("image", "exists", reference):
        return reference
    with tempfile.TemporaryDirectory(prefix=".image-", dir=CACHE) as work:
        root = Path(work)
        root.chmod(0o755)
        shutil.copy2(binaries / "bin" / "camera-server", root / "camera-server")
        for folder in (footage, pictures):
            shutil.copytree(folder, root / "clips", dirs_exist_ok=True)
        archive = shutil.make_archive(str(CACHE / "cameras" / f".image-{identity}"), "tar", root)
    try:
        listening = ("-address", f":{CAMERAS_PORT}", "-http", f":{CAMERAS_HTTP_PORT}")
        entrypoint = json.dumps(["/camera-server", *listening, "-clips", "/clips"])
        podman("import", "--change", f"ENTRYPOINT {entrypoint}", archive, reference)
    finally:
        Path(archive).unlink()
    return reference


def _not_ready() -> str | None:
    if not running(CONTAINER):
        return f"the container {CONTAINER} is not running: {podman('logs', '--tail=3', CONTAINER, check=False)}"
    for port in (CAMERAS_PORT, CAMERAS_HTTP_PORT):
        try:
            socket.create_connection((str(CAMERAS_ADDRESS), port), timeout=2).close()
        except OSError as refused:
            return f"port {port}: {refused}"
    return None
