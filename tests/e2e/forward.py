"""`kubectl port-forward`, which ends inside a pod, where Elasticsearch answers in plain whatever its transport is."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import httpx

from lab.toolchain.releases import OWN

_START_S: Final = 30.0


class Forward:
    """HTTP to a port of a pod's own loopback."""

    def __init__(self, kubeconfig: Path, namespace: str, pod: str, port: int) -> None:
        """Raises httpx.ConnectError where there is no way to the pod."""
        with tempfile.NamedTemporaryFile("r") as said:
            command = [str(OWN.bin / "kubectl"), f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]
            with Path(said.name).open("w") as sink:
                self._process = subprocess.Popen(
                    [*command, "port-forward", f"pod/{pod}", f":{port}"], stdout=sink, stderr=sink
                )
            here = self._begun(Path(said.name))
        if here is None:
            self.close()
            raise httpx.ConnectError(f"no port of {pod} is forwarded")
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{here}", timeout=30, trust_env=False)

    def _begun(self, said: Path) -> str | None:
        """The port on this computer; None if there is none in time."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", said.read_text()):
                return found[1]
            time.sleep(0.1)
        return None

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
