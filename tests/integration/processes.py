"""Runs an app as a process, with its HTTP ports."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from apps.messages.names import METRICS_HOST
from apps.service.peer import trust
from apps.service.token import Token
from tests.environments import AUTHORITY_FILE, METRICS_DIR, TOKEN_FILE, variables
from tests.integration.services import REPOSITORY, START_SECONDS, free_port, wait_for


def scraped(port: int) -> str:
    """The metrics that are answered at this computer, as Prometheus asks for them."""
    headers = {"Authorization": f"Bearer {(METRICS_DIR / 'token').read_text()}"}
    with httpx.Client(headers=headers, timeout=15, trust_env=False, verify=trust(AUTHORITY_FILE)) as client:
        answer = client.get(f"https://127.0.0.1:{port}/metrics", extensions={"sni_hostname": METRICS_HOST})
        return answer.raise_for_status().text


class App:
    """`python -m <module>`, with its log in a file."""

    def __init__(self, module: str, log: Path, environment: dict[str, str]) -> None:
        self.port = int(environment["ARGUS_HTTP_PORT"])
        # The page is in plain unless a test has it otherwise; the other apps answer over TLS alone.
        self.url = f"{'http' if module == 'apps.ui' else 'https'}://127.0.0.1:{self.port}"
        self.probe_url = f"http://127.0.0.1:{environment['ARGUS_PROBE_PORT']}"
        self.metrics_port = int(environment["ARGUS_METRICS_PORT"])
        self.log = log
        self._trust = trust(AUTHORITY_FILE)
        self.headers: Mapping[str, str] = Token(TOKEN_FILE).headers
        """What every request shows, such as a token."""
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd=REPOSITORY,
                env={**os.environ, **environment},
                stdout=sink,
                stderr=subprocess.STDOUT,
            )

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=self.headers, timeout=15, trust_env=False, verify=self._trust)

    def probe(self, path: str) -> httpx.Response:
        """What Kubernetes gets."""
        return httpx.get(f"{self.probe_url}{path}", timeout=15, trust_env=False)

    def metrics(self) -> str:
        """What Prometheus gets."""
        return scraped(self.metrics_port)

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
            return self.probe("/readyz").status_code == 200

        wait_for(f"{self.probe_url}/readyz", ready, seconds=START_SECONDS)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait. Returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def app(module: str, log: Path, **environment: str) -> Iterator[App]:
    """Start an app, wait until it is ready, and stop it after the block. `environment` lacks the prefix ARGUS_."""
    ports = {name: str(free_port()) for name in ("http_port", "probe_port", "metrics_port")}
    started = App(module, log, variables(module, **{**ports, **environment}))
    try:
        started.wait_until_ready()
        yield started
    finally:
        try:
            started.stop()
        except subprocess.TimeoutExpired:
            started.process.kill()
