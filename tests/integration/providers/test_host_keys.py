"""Host keys with a real engine and real sshds: a host with another key is refused with the reason."""

import json
import socket
from pathlib import Path

import pytest

from components.ssh_keys import fingerprint
from tests.integration.providers.conftest import Hosts, Project

ROOT = Path(__file__).parents[3]
KUBE_CONTROLLER_MANAGER_PORT = 10257
ENDPOINT, CP1, CP2 = "127.0.0.10", "127.0.0.11", "127.0.0.12"


def write(project: Project, hosts: Hosts, body: str) -> None:
    """Write a program that connects to the hosts with the components' own code."""
    project.program(f"""
    import sys
    sys.path.insert(0, {str(ROOT)!r})
    from dataclasses import replace
    from pathlib import Path
    import pulumi
    from components import remote
    from components.cluster.args import ClusterArgs
    from components.cluster.host_keys import HostKeys, explained
    from components.cluster.preflight import Preflight
    from components.config import Backup, Cluster, Machine, Machines, Ssh

    ENDPOINT, CP1, CP2 = {ENDPOINT!r}, {CP1!r}, {CP2!r}
    options = Ssh.model_validate(dict(privateKey={hosts.key!r}, port={hosts.port}))
    ssh = remote.Ssh(options=options)

    def machine(name, address, host_key=None):
        return Machine.model_validate(dict(name=name, address=address, hostKey=host_key))

    def cluster(*machines, memory_mib=0):
        section = dict(name="test", endpoint=ENDPOINT, endpointPort=8443, kubernetesVersion="1.36.1",
            minimumMemoryMiB=memory_mib, minimumDiskGiB=0)
        return ClusterArgs(machines=Machines.model_validate(dict(controlPlanes=machines)), ssh=ssh,
            cluster=Cluster.model_validate(section), backup=Backup(), page_port=30080)

    def script(text):
        file = Path({str(project.folder)!r}) / f"{{abs(hash(text))}}.sh"
        file.write_text(text)
        return remote.Script(files=[file], values={{}})
{body}
    """)


FIRST_USE = """
    first = machine("cp1", CP1, {given})
    keys = HostKeys("keys", cluster(first), on_error={{}}).keys
    ssh = replace(ssh, host_keys={{CP1: [keys["cp1"]]}}, on_error=explained("explained", [first], options))
    told = remote.command("told", host=CP1, ssh=ssh, create=script("echo {word}"), dial_attempts=0,
        opts=pulumi.ResourceOptions())
    pulumi.export("told", told.stdout.apply(remote.answer))
"""


def test_the_key_that_is_shown_first_is_the_one_that_counts(project: Project, hosts: Hosts) -> None:
    write(project, hosts, FIRST_USE.format(given=None, word="one"))
    with hosts.up("cp1", CP1):
        project.up()
        assert project.outputs()["told"] == "one"
        assert project.state("told")["inputs"]["connection"]
        assert project.state(f"keys-cp1-{CP1}")["outputs"]["stdout"].splitlines() == [
            hosts.public_key("cp1"),
            hosts.public_key("cp1", "ed25519"),
        ]
        assert project.changes() == {}

    # A reinstalled host gets no command until the operator accepts its new key.
    write(project, hosts, FIRST_USE.format(given=None, word="two"))
    with hosts.up("another", CP1):
        text = project.up(ok=False).text
        assert f"cp1 ({CP1}) shows the SSH host key" in text
        assert fingerprint(hosts.public_key("another")) in text
        assert f"is known by {fingerprint(hosts.public_key('cp1'))}" in text
        assert "give that key as its hostKey in argus:machines" in text
        write(project, hosts, FIRST_USE.format(given=repr(hosts.public_key("another")), word="two"))
        project.up()
        assert project.outputs()["told"] == "two"
    project.destroy()


def test_a_host_with_several_keys_shows_the_given_one(project: Project, hosts: Hosts) -> None:
    with hosts.up("cp1", CP1):
        for type_ in ("ecdsa", "ed25519"):
            write(project, hosts, FIRST_USE.format(given=repr(hosts.public_key("cp1", type_)), word=type_))
            project.up()
            assert project.outputs()["told"] == type_


ASKED = """
    ssh = replace(ssh, host_keys={{ENDPOINT: {keys}, CP2: {keys}[1:2]}}, holders={holders})
    told = remote.ask("told", host=ENDPOINT, ssh=ssh, create=script("cat; echo $RANDOM; echo asked >> {log}"),
        stdin="given\\n", opts=pulumi.ResourceOptions())
    pulumi.export("told", told.stdout)
"""


def test_whoever_of_several_has_an_address_is_asked(project: Project, hosts: Hosts, tmp_path: Path) -> None:
    log = tmp_path / "log"
    both = [hosts.public_key("cp1"), hosts.public_key("cp2")]
    with hosts.up("cp1", CP1, ENDPOINT):
        write(project, hosts, ASKED.format(keys=both, holders={}, log=log))
        project.up()
    told = project.outputs()["told"]
    assert told.removeprefix("given\n").isdigit()
    assert hosts.key.splitlines()[1] not in json.dumps(project.state("told"))

    # Adding a control plane is no reason to run the command again, on any host.
    write(project, hosts, ASKED.format(keys=[*both, hosts.public_key("cp3")], holders={}, log=log))
    assert project.changes() == {"update": 1}
    project.up()
    assert project.outputs()["told"] == told
    assert log.read_text().split() == ["asked"]

    # For a changed command, the present holder of the address answers, checked by the present keys.
    with hosts.up("cp3", ENDPOINT):
        write(project, hosts, ASKED.format(keys=[*both, hosts.public_key("cp3")], holders={}, log=f"{log}; true"))
        project.up()
    assert log.read_text().split() == ["asked", "asked"]
    with hosts.up("another", ENDPOINT):
        write(project, hosts, ASKED.format(keys=[*both, hosts.public_key("cp3")], holders={}, log=f"{log}; true; true"))
        text = project.up(ok=False).text
    assert f"error: the machine at {ENDPOINT} shows the SSH host key of no control plane of this stack" in text
    assert fingerprint(hosts.public_key("another")) in text
    assert log.read_text().split() == ["asked", "asked"]

    # The holder may be a machine that is leaving. A machine that stays is asked at its own address.
    with hosts.up("another", ENDPOINT), hosts.up("cp2", CP2):
        write(project, hosts, ASKED.format(keys=both, holders={ENDPOINT: [CP2]}, log=f"{log}; true; true"))
        project.up()
    assert log.read_text().split() == ["asked"] * 3

    # A machine with its own address is asked only there: another machine's answer would be mistaken for its own.
    own = ASKED.replace('"told", host=ENDPOINT', '"told", host=CP2')
    with hosts.up("another", CP2), hosts.up("cp1", ENDPOINT):
        write(project, hosts, own.format(keys=both, holders={ENDPOINT: [CP2]}, log=log))
        assert (
            f"the machine at {CP2} shows the SSH host key of no control plane of this stack"
            in project.up(ok=False).text
        )
    assert log.read_text().split() == ["asked"] * 3


PREFLIGHT = """
    machines = [machine("cp1", CP1), machine("cp2", CP2, {key!r}), machine("cp3", "127.0.0.13")]
    preflight = Preflight("preflight", cluster(*machines, memory_mib=10**9))
    later = remote.command("later", host=CP1, ssh=preflight.ssh, create=script("echo later >> {log}"),
        opts=pulumi.ResourceOptions(depends_on=preflight.passed["cp1"]))
    pulumi.export("later", later.stdout)
"""


def test_all_machines_problems_come_together(project: Project, hosts: Hosts, tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(project, hosts, PREFLIGHT.format(key=hosts.public_key("cp2"), log=log))
    with hosts.up("cp1", CP1), hosts.up("another", CP2):
        text = project.up(ok=False).text
    found = [line.strip() for line in text.splitlines()]
    assert any(line.startswith(f"cp1 ({CP1}): ") and "MiB of memory" in line for line in found), text
    assert any(
        line.startswith(f"cp2 ({CP2}): shows the SSH host key") and fingerprint(hosts.public_key("cp2")) in line
        for line in found
    ), text
    silent = "cp3 (127.0.0.13): does not answer over SSH (cp3 (127.0.0.13) shows no ECDSA or Ed25519 host key"
    assert any(line.startswith(silent) for line in found), text
    assert not log.exists()


AGAIN = """
    preflight = Preflight("preflight", cluster(machine("cp1", CP1)))
    pulumi.export("passed", preflight.passed["cp1"].apply(lambda _: True))
"""


def test_a_problem_that_was_mended_is_not_named_again(project: Project, hosts: Hosts) -> None:
    write(project, hosts, AGAIN)
    with hosts.up("cp1", CP1):
        with socket.create_server((ENDPOINT, KUBE_CONTROLLER_MANAGER_PORT)):
            assert f"port {KUBE_CONTROLLER_MANAGER_PORT} in use" in project.up(ok=False).text
        # Other problems of the tests' sandbox remain, so this fails too.
        again = project.up(ok=False).text
    assert f"cp1 ({CP1}): " in again
    assert f"port {KUBE_CONTROLLER_MANAGER_PORT}" not in again


def test_not_all_are_waited_for_where_all_that_the_engine_does_at_a_time_fails(project: Project, hosts: Hosts) -> None:
    write(project, hosts, PREFLIGHT.format(key=hosts.public_key("cp2"), log="/dev/null"))
    text = project.up("--parallel", "2", ok=False).text
    assert text.count("does not answer over SSH") == 2, text
    assert "Not heard, because so many others do not answer: cp" in text


DRAIN = """
    from pulumi_command import remote as plugin
    plugin.Command("drain", connection=plugin.ConnectionArgs(host=CP1, port=options.port, private_key=options.key),
        delete="echo drained >> {log}")
"""
DRAIN_NOW = """
    ssh = replace(ssh, host_keys={{CP1: [{key!r}]}})
    remote.ask("drain", host=CP1, ssh=ssh, delete=script("echo drained >> {log}"),
        opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(type_="command:remote:Command")]))
"""


def test_a_drain_of_an_earlier_version_becomes_one_of_this_and_drains_nothing(
    project: Project, hosts: Hosts, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with hosts.up("cp1", CP1):
        write(project, hosts, DRAIN.format(log=log))
        project.up()
        write(project, hosts, DRAIN_NOW.format(key=hosts.public_key("cp1"), log=log))
        assert project.changes() == {"update": 1}
        project.up()
        assert not log.exists()
        assert project.state("drain")["type"] == "command:local:Command"
        project.destroy()
    assert log.read_text() == "drained\n"


STEP = """
    from pulumi_command import local, remote as plugin
    plugin.Command("told", connection=plugin.ConnectionArgs(host=CP1, port=options.port, private_key=options.key),
        create="bash -c 'echo one; echo one >> {log}'")
    local.Command("undo", delete="echo undone as it was >> {log}")
"""
STEP_NOW = """
    ssh = replace(ssh, host_keys={{CP1: [{key!r}]}})
    told = remote.command("told", host=CP1, ssh=ssh, create=script("echo one; echo two >> {log}"),
        opts=pulumi.ResourceOptions())
    pulumi.export("told", told.stdout.apply(remote.answer))
    if {undo}:
        remote.command_from_here("undo", ssh=ssh, hosts=[CP1], delete=script("echo undone >> {log}"),
            opts=pulumi.ResourceOptions())
"""


@pytest.mark.parametrize("stays", [True, False])
def test_a_step_of_an_earlier_version_runs_again_and_its_undo_is_the_last_one_that_was_declared(
    project: Project, hosts: Hosts, tmp_path: Path, stays: bool
) -> None:
    log = tmp_path / "log"
    with hosts.up("cp1", CP1):
        write(project, hosts, STEP.format(log=log))
        project.up()
        write(project, hosts, STEP_NOW.format(key=hosts.public_key("cp1"), log=log, undo=stays))
        assert project.changes() == ({"update": 2} if stays else {"update": 1, "delete": 1})
        project.up()
        assert project.outputs()["told"] == "one"
        assert project.changes() == {}
        project.destroy()
    assert log.read_text().splitlines() == ["one", "two", "undone" if stays else "undone as it was"]


def test_a_cluster_that_is_given_up_is_not_asked_to_drain(project: Project, hosts: Hosts, tmp_path: Path) -> None:
    key = hosts.public_key("cp1")
    write(project, hosts, DRAIN_NOW.format(key=key, log=tmp_path / "log"))
    project.up()
    project.environment["ARGUS_CLUSTER_LOST"] = "true"
    project.destroy()
