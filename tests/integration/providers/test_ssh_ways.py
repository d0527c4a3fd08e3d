"""A key with a passphrase, an agent, a bastion: by OpenSSH and by pulumi-command's stand-in, to real sshds."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import remote
from components.config import Ssh
from tests.integration.providers.conftest import Hosts, Project
from tests.unit.components.conftest import Recorder

ROOT = Path(__file__).parents[3]
CP1, BASTION = "127.0.0.11", "127.0.0.20"
PASSPHRASE = 'it\'s "a" $PATH of %s'
PASSES_ON = "AllowTcpForwarding yes\nForceCommand /bin/false\nPermitTTY no\n"
"""What a bastion allows: to pass connections on, and no shell."""

Values = dict[str, Any]


@pytest.fixture
def agent(hosts: Hosts, tmp_path: Path) -> Iterator[str]:
    """The socket of an agent that has the hosts' key."""
    socket = tmp_path / "agent"
    server = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert server.poll() is None
        environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
        subprocess.run(["ssh-add", "-q", "-"], input=hosts.key, env=environment, text=True, check=True)
        yield str(socket)
    finally:
        server.terminate()
        server.wait()


def locked(key: str, folder: Path, passphrase: str = PASSPHRASE) -> str:
    """The private key with a passphrase."""
    file = folder / "locked"
    file.touch(mode=0o600)
    file.write_text(key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", file], check=True)
    return file.read_text()


def bastion(hosts: Hosts, **login: Any) -> Values:
    return {"host": BASTION, "port": hosts.port, "hostKey": hosts.public_key("bastion"), **login}


def asked(hosts: Hosts, tmp_path: Path, options: Values, socket: str = "") -> subprocess.CompletedProcess[str]:
    """What `remote.ask` runs on this computer."""
    file = tmp_path / "said.sh"
    file.write_text("echo from the machine\n")
    ssh = remote.Ssh(
        options=Ssh.model_validate({"port": hosts.port, **options}), host_keys={CP1: [hosts.public_key("cp1")]}
    )
    script = remote.Script(files=[file], values={})
    recorder = Recorder()
    recorder.run(lambda: remote.ask("asked", host=CP1, ssh=ssh, create=script, opts=pulumi.ResourceOptions()).stdout)
    inputs = recorder.named("asked").inputs
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **inputs["environment"]}
    return subprocess.run(
        ["/bin/sh", "-c", inputs["create"].replace("1 2 3 4 5 6 7 8 9 10 11", "1")],
        env={**environment, **({"SSH_AUTH_SOCK": socket} if socket else {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def answer(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\n")[2].strip()


def test_openssh_uses_a_key_with_a_passphrase(hosts: Hosts, tmp_path: Path) -> None:
    key = locked(hosts.key, tmp_path)
    with hosts.up("cp1", CP1):
        assert answer(asked(hosts, tmp_path, {"privateKey": key, "passphrase": PASSPHRASE})) == "from the machine"
        done = asked(hosts, tmp_path, {"privateKey": key, "passphrase": "another"})
    assert done.returncode != 0
    assert "the passphrase in argus:ssh does not open the private key" in done.stderr
    assert "another" not in done.stderr


def test_openssh_asks_an_agent(hosts: Hosts, tmp_path: Path, agent: str) -> None:
    with hosts.up("cp1", CP1):
        assert answer(asked(hosts, tmp_path, {"agent": True}, agent)) == "from the machine"
        assert "Permission denied" in asked(hosts, tmp_path, {"agent": True}).stderr


def test_openssh_goes_through_a_bastion(hosts: Hosts, tmp_path: Path) -> None:
    way = {"privateKey": hosts.key, "bastion": bastion(hosts)}
    with hosts.up("cp1", CP1):
        assert asked(hosts, tmp_path, way).returncode != 0
        with hosts.up("bastion", BASTION, more=PASSES_ON):
            assert answer(asked(hosts, tmp_path, way)) == "from the machine"
        with hosts.up("another", BASTION, more=PASSES_ON):
            assert "Host key verification failed" in asked(hosts, tmp_path, way).stderr
    # The machine's own key is checked too.
    with hosts.up("another", CP1), hosts.up("bastion", BASTION, more=PASSES_ON):
        assert "shows another SSH host key" in asked(hosts, tmp_path, way).stderr


def test_a_bastion_has_a_login_of_its_own(hosts: Hosts, tmp_path: Path) -> None:
    other = Hosts(tmp_path / "bastion")
    other.port = hosts.port
    key = locked(other.key, tmp_path)
    login = {"privateKey": key, "passphrase": PASSPHRASE, "hostKey": other.public_key("bastion"), "user": "root"}
    way = {"privateKey": hosts.key, "bastion": bastion(hosts, **login)}
    with hosts.up("cp1", CP1), other.up("bastion", BASTION, more=PASSES_ON):
        assert answer(asked(hosts, tmp_path, way)) == "from the machine"
        denied = asked(hosts, tmp_path, {**way, "bastion": bastion(hosts, hostKey=other.public_key("bastion"))})
        assert "Permission denied" in denied.stderr


PROGRAM = """
    import sys
    sys.path.insert(0, {root!r})
    from pathlib import Path
    import pulumi
    from components import remote
    from components.config import Ssh
    file = Path("said.sh")
    file.write_text("echo from the machine\\n")
    ssh = remote.Ssh(options=Ssh.model_validate({options!r}), host_keys={{{host!r}: [{host_key!r}]}})
    script = remote.Script(files=[file], values={{}})
    told = remote.command("told", host={host!r}, ssh=ssh, create=script, dial_attempts=0, opts=pulumi.ResourceOptions())
    pulumi.export("told", told.stdout.apply(remote.answer))
"""
ASKED = """
    asked = remote.ask("asked", host={host!r}, ssh=ssh, create=script, opts=pulumi.ResourceOptions())
    pulumi.export("asked", asked.stdout)
"""


@pytest.mark.parametrize("way", ["passphrase", "agent", "bastion", "agent and bastion"])
def test_the_engine_reaches_a_machine(project: Project, hosts: Hosts, tmp_path: Path, agent: str, way: str) -> None:
    options: Values = {"port": hosts.port}
    project.environment.pop("SSH_AUTH_SOCK", None)
    if way == "passphrase":
        options |= {"privateKey": locked(hosts.key, tmp_path), "passphrase": PASSPHRASE}
    elif "agent" in way:
        options |= {"agent": True}
        project.environment["SSH_AUTH_SOCK"] = agent
    else:
        options |= {"privateKey": hosts.key}
    if "bastion" in way:
        options |= {"bastion": bastion(hosts)}
    values = {"root": str(ROOT), "options": options, "host": CP1, "host_key": hosts.public_key("cp1")}
    with contextlib.ExitStack() as up:
        up.enter_context(hosts.up("cp1", CP1))
        if "bastion" in way:
            # `ask` would go on trying for a minute.
            project.program(PROGRAM.format(**values))
            down = project.up(ok=False)
            assert down.code, "reached without the bastion"
            assert BASTION in down.text, down.text
            up.enter_context(hosts.up("bastion", BASTION, more=PASSES_ON))
        project.program((PROGRAM + ASKED).format(**values))
        project.up()
        assert project.outputs() == {"told": "from the machine", "asked": "from the machine"}
        assert project.changes() == {}
    export = project.pulumi("stack", "export").text
    assert PASSPHRASE not in export and hosts.key.splitlines()[1] not in export
