#!/usr/bin/env python3
"""Serves what machines download where they reach nothing else: a registry of images, and files over plain HTTP.

The lab's machines get everything in this way. A bundle (components/production/bundle) has a copy of this file as
`serve.py`, beside its images and files. It needs Debian's docker-registry, skopeo to load images, and Python's standard
library.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

IMAGES = "images.tsv"
"""The list of a bundle's images: a line each, `FOLDER<tab>REFERENCE<tab>own` or `…<tab>mirrored`."""
FILES, REGISTRY, SUMS = "files", "registry", "SHA256SUMS"
"""In a bundle: what is served over HTTP, the registry's storage, and the checksums of everything."""
_NOT_SUMMED = (SUMS, "registry.json")
_HUB = "docker.io"


class ServingError(Exception):
    """The bundle cannot be served or loaded; the message says why and what to do."""


def registry_config(folder: Path, address: str) -> str:
    """The configuration of Debian's docker-registry: images in `folder`, at `host:port`. JSON, a subset of its YAML."""
    config = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder)}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }
    return json.dumps(config, indent=2) + "\n"


def registry_command(config: Path) -> tuple[str, ...]:
    """Runs the registry with this configuration."""
    return ("docker-registry", "serve", str(config))


def files_command(folder: Path, host: str, port: int) -> tuple[str, ...]:
    """Serves a folder over HTTP."""
    serve = (sys.executable, "-m", "http.server", "--bind", host, "--directory", str(folder))
    return (*serve, str(port))


def write_checksum(file: Path) -> str:
    """Write `FILE.sha256` beside a file, as dl.k8s.io has it: machines take no program without. Return the sum."""
    found = sha256(file)
    file.with_name(f"{file.name}.sha256").write_text(f"{found}\n")
    return found


def sha256(file: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def split(reference: str) -> tuple[str, str]:
    """The registry of an image, and the rest of its reference, as containerd reads it."""
    first, slash, rest = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return _HUB, reference if slash else f"library/{reference}"


def target(reference: str, kind: str, mirror: str) -> str:
    """Where an image goes: one of the stack's own keeps its name, any other goes where containerd asks a mirror."""
    name, _, _ = reference.partition("@")
    return name if kind == "own" else f"{mirror}/{split(name)[1]}"


def images(bundle: Path) -> list[tuple[Path, str, str]]:
    """The folder, reference and kind of each image of a bundle. Raises ServingError."""
    file = bundle / IMAGES
    if not file.exists():
        raise ServingError(f"{file} is missing: this is no whole bundle; make it again, it goes on where it ended")
    lines = [line.split("\t") for line in file.read_text().splitlines()]
    return [(bundle / folder, reference, kind) for folder, reference, kind in lines]


def write_sums(bundle: Path) -> None:
    """Write the SHA-256 of every file of a bundle, in the format of sha256sum."""
    lines = [f"{sha256(file)}  {file.relative_to(bundle).as_posix()}\n" for file in _summed(bundle)]
    (bundle / SUMS).write_text("".join(lines))


def check(bundle: Path) -> int:
    """Compare every file with its checksum; return their number. Raises ServingError that names those that differ."""
    sums = bundle / SUMS
    if not sums.exists():
        raise ServingError(f"{sums} is missing: this is no whole bundle")
    wanted = {name: found for found, _, name in (line.partition("  ") for line in sums.read_text().splitlines())}
    differ = [name for name, found in wanted.items() if not (bundle / name).exists() or sha256(bundle / name) != found]
    if differ:
        raise ServingError(f"missing or damaged: {', '.join(differ[:10])}: copy the bundle again")
    return len(wanted)


def load(bundle: Path, registry: str, *, insecure: bool) -> None:
    """Push every image to a registry, by which its digest stays what it was. Raises ServingError."""
    if shutil.which("skopeo") is None:
        raise ServingError("skopeo pushes the images: install it (the bundle's files/ have the package)")
    verify = f"--dest-tls-verify={str(not insecure).lower()}"
    found = images(bundle)
    for number, (folder, reference, kind) in enumerate(found, start=1):
        to = target(reference, kind, registry)
        print(f"{number}/{len(found)} {to}", flush=True)
        command = [
            "skopeo",
            "copy",
            "--quiet",
            "--all",
            "--preserve-digests",
            verify,
            f"dir:{folder}",
            f"docker://{to}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServingError(f"{to} was not pushed: {done.stderr.strip()}")


def serve(bundle: Path, host: str, registry_port: int, files_port: int) -> int:
    """Serve until a signal, or until one of the two ends by itself, which is a failure. The exit status."""
    if shutil.which("docker-registry") is None:
        raise ServingError("docker-registry serves the images: install it (the bundle's files/ have the package)")
    config = bundle / "registry.json"
    config.write_text(registry_config(bundle / REGISTRY, f"{host}:{registry_port}"))
    commands = (registry_command(config), files_command(bundle / FILES, host, files_port))
    running = [subprocess.Popen(command) for command in commands]

    asked = False

    def end(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, end)
    print(f"images: http://{host}:{registry_port}, files: http://{host}:{files_port}", flush=True)
    while not asked and all(process.poll() is None for process in running):
        time.sleep(0.2)
    for process in running:
        process.terminate()
        process.wait()
    return 0 if asked else 1


def _summed(bundle: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(bundle):
        inner[:] = sorted(name for name in inner if Path(folder, name) != bundle / REGISTRY)
        yield from (Path(folder, name) for name in sorted(names) if name not in _NOT_SUMMED)


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    own = argparse.ArgumentParser(prog="serve.py", description=__doc__)
    own.add_argument("--bundle", type=Path, default=Path(__file__).resolve().parent, help="its folder")
    commands = own.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help=f"compare every file with {SUMS}")
    loaded = commands.add_parser("load", help="push every image to a registry")
    loaded.add_argument("--to", required=True, metavar="HOST:PORT", help="the registry that machines ask first")
    loaded.add_argument("--insecure", action="store_true", help="it speaks plain http, or its certificate is not known")
    served = commands.add_parser("serve", help="a registry and the files, until it is ended")
    served.add_argument("--address", required=True, help="this computer's address, as machines reach it")
    served.add_argument("--registry-port", type=int, default=5000)
    served.add_argument("--files-port", type=int, default=8088)
    return own


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, load or check the bundle that this file lies in."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "check":
            print(f"{check(options.bundle)} files are as they were made")
        elif options.command == "load":
            load(options.bundle, options.to, insecure=options.insecure)
        else:
            return serve(options.bundle, options.address, options.registry_port, options.files_port)
    except ServingError as error:
        print(f"serve.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
