"""`kubectl port-forward`, which ends inside a pod, where Elasticsearch answers in plain whatever its transport is."""

from __future__ import annotations

import atexit
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx

from lab.config import STATE
from lab.toolchain.releases import OWN

KUBECTL: Final = (str(OWN.bin / "kubectl"),)
_START_S: Final = 30.0


class Forward:
    """HTTP to a port of a pod's own loopback, until the pod or the way to it ends: then its requests fail."""

    def __init__(self, kubeconfig: Path, namespace: str, pod: str, port: int, kubectl: Sequence[str] = KUBECTL) -> None:
        """Raises httpx.ConnectError where there is no way to the pod."""
        with tempfile.NamedTemporaryFile("r") as said:
            command = [*kubectl, f"--kubeconfig={kubeconfig}", f"--namespace={namespace}", "port-forward"]
            with Path(said.name).open("w") as sink:
                self._process = subprocess.Popen(
                    [*command, f"pod/{pod}", f":{port}"],
                    # Its cache is not left in the home folder.
                    env={**os.environ, "NO_PROXY": "*", "KUBECACHEDIR": str(STATE / "kubectl")},
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=sink,
                    # Ctrl-C is for the tests, which may need it for what they undo then.
                    start_new_session=True,
                )
            here = self._begun(Path(said.name))
            last = said.read()[-200:]
        atexit.register(self.close)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{here or 0}", timeout=30, trust_env=False)
        if here is None:
            self.close()
            raise httpx.ConnectError(f"no port of {pod} is forwarded: {last.strip() or 'no answer'}")

    def _begun(self, said: Path) -> str | None:
        """The port on this computer; None if there is none in time."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", said.read_text()):
                return found[1]
            time.sleep(0.1)
        return None

    def close(self) -> None:
        """End it. It may be called twice."""
        atexit.unregister(self.close)
        self.http.close()
        self._process.kill()
        self._process.wait()
