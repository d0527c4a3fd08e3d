"""Kubelets' serving certificates: a node gets one for its own name and address, and for nothing else."""

import base64
from collections.abc import Sequence
from pathlib import Path

import pytest

from components.cluster.kubelet_certificates import KubeletCertificates
from components.remote import Ssh
from tests.certificates import NEW_KEY, openssl
from tests.unit.components.answers import unpacked
from tests.unit.components.cluster.conftest import Host, cluster_args, machine, machines, worker
from tests.unit.components.conftest import Recorder, ssh_options
from tests.unit.components.host_keys import host_key

NODES = ["cp1 192.0.2.11", "worker1 192.0.2.21"]
USAGES = ("digital signature", "server auth")


def request(
    folder: Path,
    *,
    subject: str = "/O=system:nodes/CN=system:node:worker1",
    names: str = "DNS:worker1,IP:192.0.2.21",
) -> str:
    """A certificate request as a kubelet sends it, in base64."""
    key, file = folder / "key.pem", folder / "request.pem"
    named = ["-addext", f"subjectAltName={names}"] if names else []
    openssl("req", "-new", *NEW_KEY, "-subj", subject, "-keyout", key, "-out", file, *named)
    return base64.b64encode(file.read_bytes()).decode()


def line(
    encoded: str,
    *,
    user: str = "system:node:worker1",
    groups: Sequence[str] = ("system:nodes", "system:authenticated"),
    usages: Sequence[str] = USAGES,
) -> str:
    """A pending request as kubectl prints it for the script."""
    listed = ["".join(f"{each}," for each in values) for values in (groups, usages)]
    return "\t".join(["csr-1", user, *listed, encoded])


@pytest.fixture
def host(member: Host) -> Host:
    member.program("openssl", 'exec /usr/bin/openssl "$@"')
    return member


def grant(host: Host, pending: str, *, holds: bool = True) -> tuple[list[str], str]:
    """The requests that the timer's program approves, and what it says."""
    (host.root / "pending").write_text(pending + "\n")
    host.program("kubectl", 'case "$*" in *"get certificatesigningrequests"*) cat "$MACHINE/pending" ;; esac')
    host.program("ip", f"echo '2: eth0 inet {'192.0.2.10' if holds else '192.0.2.12'}/32 scope global eth0'")
    done = host.run("grant_kubelets.sh", virtual_ip="192.0.2.10", nodes=NODES)
    approved = [call.split()[4] for call in host.ran("kubectl") if "certificate approve" in call]
    return approved, done.stderr


def test_a_node_gets_a_certificate_for_its_own_name_and_address(host: Host, tmp_path: Path) -> None:
    assert grant(host, line(request(tmp_path))) == (["csr-1"], "")


def test_a_key_of_another_kind_is_as_good(host: Host, tmp_path: Path) -> None:
    usages = ("digital signature", "key encipherment", "server auth")
    assert grant(host, line(request(tmp_path), usages=usages)) == (["csr-1"], "")


STRANGERS = {
    "another address": (
        {"names": "DNS:worker1,IP:192.0.2.11"},
        {},
        "asks for the names DNS:worker1, IPAddress:192.0.2.11",
    ),
    "an address more": ({"names": "DNS:worker1,IP:192.0.2.21,IP:192.0.2.10"}, {}, "asks for the names"),
    "a name more": ({"names": "DNS:worker1,DNS:kubernetes,IP:192.0.2.21"}, {}, "asks for the names"),
    "no name": ({"names": ""}, {}, "asks for the names"),
    "another node's name": ({"subject": "/O=system:nodes/CN=system:node:cp1"}, {}, "asks for another subject"),
    "another group": ({"subject": "/O=system:masters/CN=system:node:worker1"}, {}, "asks for another subject"),
    "no machine of the stack": ({}, {"user": "system:node:worker9"}, "worker9 is no machine of the stack"),
    "no node": ({}, {"user": "system:serviceaccount:argus:spark"}, "is no node"),
    "a node by its name alone": ({}, {"groups": ("system:authenticated",)}, "is no node"),
    "a client's certificate": ({}, {"usages": ("digital signature", "client auth")}, "asks for the usages"),
    "more than a server": ({}, {"usages": (*USAGES, "client auth")}, "asks for the usages"),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_whoever_asks_for_anything_else_waits_and_it_is_said_why(host: Host, tmp_path: Path, case: str) -> None:
    asked, sent, reason = STRANGERS[case]
    approved, said = grant(host, line(request(tmp_path, **asked), **sent))  # type: ignore[arg-type]
    assert approved == []
    assert reason in said


def test_a_request_that_is_none_is_not_granted(host: Host) -> None:
    approved, said = grant(host, line(base64.b64encode(b"no request").decode()))
    assert approved == []
    assert "cannot be read" in said


def test_only_the_holder_of_the_endpoint_grants(host: Host, tmp_path: Path) -> None:
    assert grant(host, line(request(tmp_path)), holds=False) == ([], "")


def test_the_timer_s_program_knows_every_machine_of_the_stack(pulumi_mocks: Recorder) -> None:
    keys = {address: [host_key(address)] for address in ("192.0.2.11", "192.0.2.21")}
    args = cluster_args(
        machines=machines([machine("cp1", "192.0.2.11")], [worker("worker1", "192.0.2.21")]),
        ssh=Ssh(options=ssh_options(), host_keys=keys),
    )
    pulumi_mocks.run(lambda: KubeletCertificates("granting", args.on(args.all_machines[0])))
    installed = unpacked(pulumi_mocks.named("granting-granted").inputs["create"])
    assert all(node in installed for node in NODES)
    assert "grant_serving" in installed and "await_serving" not in installed
    assert unpacked(installed) == installed, "the timer's program answers, and nobody reads that"
