"""A Pulumi project for each test, with the lab's CLI and stand-in plugins; an API server and sshds on loopback."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab import toolchain
from lab.config import TOOLS
from tests.certificates import openssl

TIMEOUT = 180
SHELLS = {
    "tcsh": ("tcsh",),
    "zsh": ("zsh", "zsh-common"),
    "fish": ("fish", "fish-common", "libpcre2-32-0"),
    "mksh": ("mksh",),
    "ash": ("busybox",),
}
"""Login shells and the packages of Debian that they are in."""


@dataclass(frozen=True)
class Result:
    """The output of one pulumi command."""

    code: int
    text: str


@dataclass
class Project:
    """A folder with a Pulumi program and its state."""

    folder: Path
    environment: dict[str, str]
    stands: bool = False
    """Whether there may be something to destroy."""
    timeout: float = TIMEOUT
    """Seconds that one command may take."""

    def program(self, text: str) -> None:
        """Set the project's program."""
        (self.folder / "__main__.py").write_text(textwrap.dedent(text))

    def pulumi(self, *arguments: str, ok: bool = True) -> Result:
        """Run a pulumi command, which must succeed or fail as `ok` says."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.timeout,
            check=False,
        )
        assert (done.returncode == 0) == ok, done.stdout
        return Result(done.returncode, done.stdout)

    def up(self, *arguments: str, ok: bool = True) -> Result:
        """Run `pulumi up`."""
        self.stands = True
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, ok=ok)

    def destroy(self, *arguments: str, ok: bool = True) -> Result:
        """Run `pulumi destroy`."""
        done = self.pulumi("destroy", "--yes", "--skip-preview", *arguments, ok=ok)
        self.stands = not ok
        return done

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, with secrets in plain text."""
        done = self.pulumi("stack", "output", "--json", "--show-secrets")
        outputs: dict[str, Any] = json.loads(done.text)
        return outputs

    def state(self, name: str) -> dict[str, Any]:
        """A resource's entry in the state."""
        resources = json.loads(self.pulumi("stack", "export").text)["deployment"]["resources"]
        found: dict[str, Any] = next(entry for entry in resources if entry["urn"].endswith(f"::{name}"))
        return found

    def changes(self) -> dict[str, int]:
        """The number of resources that a preview would change, by operation."""
        done = subprocess.run(
            ["pulumi", "preview", "--json", "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=self.timeout,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        summary: dict[str, int] = json.loads(done.stdout)["changeSummary"]
        return {operation: count for operation, count in summary.items() if operation != "same"}


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PULUMI_HOME with the stand-ins installed from this checkout."""
    providers = toolchain.ensure_providers()
    home = tmp_path_factory.mktemp("pulumi-home")
    for name, version in (("command", "1.2.1"), ("kubernetes", "4.34.2")):
        subprocess.run(
            [
                tool("pulumi"),
                "plugin",
                "install",
                "resource",
                name,
                version,
                "--file",
                str(providers / f"pulumi-resource-{name}"),
                "--reinstall",
            ],
            env={**os.environ, "PULUMI_HOME": str(home)},
            check=True,
            capture_output=True,
        )
    return home


@cache
def tool(name: str) -> Path:
    """A program of the lab's toolchain, built if it is missing."""
    return toolchain.ensure().program(name)


@pytest.fixture
def project(tmp_path: Path, plugins: Path) -> Iterator[Project]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: providers\nruntime: python\n")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(TOOLS), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PULUMI_HOME": str(plugins),
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
    }
    environment.pop("KUBECONFIG", None)
    made = Project(folder, environment)
    made.program("")
    made.pulumi("stack", "init", "test")
    yield made
    if made.stands:
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            made.destroy()


@dataclass(frozen=True)
class SshServer:
    """An sshd on loopback that accepts the tests' key."""

    port: int
    key: str
    host_key: str


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    hosts = Hosts(tmp_path_factory.mktemp("sshd"), types=("ed25519",))
    with hosts.up("host", "127.0.0.1"):
        yield SshServer(hosts.port, hosts.key, hosts.public_key("host", "ed25519"))


class Hosts:
    """Machines as SSH sees them: each is an sshd on loopback addresses with its own host keys."""

    def __init__(self, folder: Path, types: tuple[str, ...] = ("ecdsa", "ed25519")) -> None:
        self._folder, self._types = folder, types
        self.port = free_port()
        folder.mkdir(exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "user"], check=True)
        self.key = (folder / "user").read_text()
        (folder / "authorized").write_text((folder / "user.pub").read_text())

    def public_key(self, name: str, type_: str = "ecdsa") -> str:
        """A machine's host key (`type key`), made at its first use."""
        file = self._folder / f"{name}-{type_}"
        if not file.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", type_, "-N", "", "-f", file], check=True)
        return " ".join(file.with_suffix(".pub").read_text().split()[:2])

    @contextlib.contextmanager
    def up(self, name: str, *addresses: str, more: str = "") -> Iterator[None]:
        """Run the machine of this name at these addresses during the block, with `more` lines in sshd_config."""
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert sshd is not None, "sshd is not installed: lab/bootstrap.sh installs Debian's openssh-server"
        config = self._folder / f"{name}-config"
        for type_ in self._types:
            self.public_key(name, type_)
        config.write_text(
            "".join(f"ListenAddress {address}:{self.port}\n" for address in addresses)
            + "".join(f"HostKey {self._folder}/{name}-{type_}\n" for type_ in self._types)
            + f"AuthorizedKeysFile {self._folder}/authorized\n"
            f"StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n"
            f"MaxStartups 100\nAcceptEnv TEST_*\n{more}"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        with running([sshd, "-D", "-e", "-f", str(config)], self._folder / f"{name}-log"):
            for address in addresses:
                wait_for_port(self.port, address)
            yield


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """Machines for a test to start and stop."""
    folder = tmp_path / "hosts"
    folder.mkdir()
    return Hosts(folder)


@pytest.fixture(scope="session", params=SHELLS)
def login_shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of Debian's shells, unpacked and not installed. It takes -c and the command, as sshd gives them."""
    folder = tmp_path_factory.mktemp(request.param)
    # apt's download user may not write to the tests' folder.
    download = ["apt-get", "--quiet=2", "--option", "APT::Sandbox::User=root", "download"]
    subprocess.run([*download, *SHELLS[request.param]], cwd=folder, check=True, timeout=TIMEOUT)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, folder / "root"], check=True, timeout=TIMEOUT)
    name = "busybox" if request.param == "ash" else request.param
    program = next(each for each in folder.glob(f"root/**/bin/{name}") if each.is_file())
    libraries = ":".join(map(str, folder.glob("root/usr/lib/*-linux-gnu")))
    shell = folder / request.param
    called = f"{program} ash" if name == "busybox" else str(program)
    shell.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {called} "$@"\n')
    shell.chmod(0o755)
    return shell


@dataclass(frozen=True)
class ApiServer:
    """A Kubernetes API without nodes, with only the controllers that deletion needs."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, ok: bool = True, stdin: str | None = None) -> str:
        """What kubectl prints against this API server; its error where it must fail."""
        done = subprocess.run(
            [tool("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode == 0) == ok, done.stderr
        return done.stdout if ok else done.stderr

    def get(self, *arguments: str) -> dict[str, Any]:
        """The live object."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "-o", "json", *arguments))
        return found


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("apiserver")
    etcd_port, peer_port, port = free_port(), free_port(), free_port()
    openssl("genrsa", "-out", folder / "sa.key", "2048")
    (folder / "tokens").write_text("secret,admin,admin,system:masters\n")
    etcd = [tool("etcd"), "--data-dir", folder / "etcd", "--unsafe-no-fsync"]
    etcd += ["--listen-client-urls", f"http://127.0.0.1:{etcd_port}"]
    etcd += ["--advertise-client-urls", f"http://127.0.0.1:{etcd_port}"]
    etcd += ["--listen-peer-urls", f"http://127.0.0.1:{peer_port}"]
    api = [tool("kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{etcd_port}", f"--secure-port={port}"]
    api += [f"--cert-dir={folder}", f"--token-auth-file={folder}/tokens", "--authorization-mode=RBAC"]
    api += [f"--service-account-key-file={folder}/sa.key", f"--service-account-signing-key-file={folder}/sa.key"]
    api += ["--service-account-issuer=https://test", "--service-cluster-ip-range=10.0.0.0/24"]
    api += ["--bind-address=127.0.0.1", "--disable-admission-plugins=ServiceAccount"]
    api += ["--allow-privileged=true"]  # As with kubeadm.
    kubeconfig = folder / "kubeconfig"
    controllers = [tool("kube-controller-manager"), f"--kubeconfig={kubeconfig}", "--leader-elect=false"]
    controllers += ["--controllers=namespace-controller,garbage-collector-controller", "--secure-port=0"]
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                "clusters": [
                    {
                        "name": "test",
                        "cluster": {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True},
                    }
                ],
                "users": [{"name": "test", "user": {"token": "secret"}}],
            }
        )
    )
    with running(list(map(str, etcd)), folder / "etcd.log"), running(list(map(str, api)), folder / "api.log"):
        server = ApiServer(kubeconfig)
        deadline = time.monotonic() + 90
        while True:
            try:
                server.kubectl("get", "namespace", "default")
                break
            except AssertionError:
                assert time.monotonic() < deadline, (folder / "api.log").read_text()[-3000:]
                time.sleep(1)
        with running(list(map(str, controllers)), folder / "controllers.log"):
            yield server


@contextlib.contextmanager
def running(command: list[str], log: Path) -> Iterator[None]:
    """Run a server during the block."""
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """An unused loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, address: str = "127.0.0.1") -> None:
    """Wait until something listens on the port."""
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
            return
        assert time.monotonic() < deadline, f"nothing listens on {address}:{port}"
        time.sleep(0.1)
