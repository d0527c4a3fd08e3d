"""Certificates as the stack makes them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from components.pipeline.certificates import BLOCK, SCRIPT
from components.pipeline.kafka_identities import AUTHORITY, PAIR


class Authority:
    """An authority, and the folders of the certificates that it has signed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        folder.chmod(0o755)
        self.folder = folder
        self._pem = self._run("authority")

    def identity(self, name: str, *, hosts: Sequence[str] = ("localhost",), renewal: int = 0) -> Path:
        """The folder of a certificate for this name, as a pod has it, good for a server at these hosts."""
        folder = self.folder / f"{name}-{renewal}"
        if not folder.exists():
            key, certificate, authority = BLOCK.findall(self._run("identity", name, *hosts))
            folder.mkdir()
            (folder / PAIR).write_text(key + certificate)
            (folder / AUTHORITY).write_text(authority)
            # Who reads it in a container is another user.
            for path, mode in {folder: 0o755, folder / PAIR: 0o644, folder / AUTHORITY: 0o644}.items():
                path.chmod(mode)
        return folder

    def _run(self, *arguments: str) -> str:
        given = None if arguments == ("authority",) else self._pem
        done = subprocess.run(["bash", SCRIPT, *arguments], input=given, text=True, capture_output=True, check=True)
        return done.stdout
