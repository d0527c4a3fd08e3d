"""The user's own pod network: applied at the endpoint instead of Argus's, before pods can run."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.cluster.args import ClusterArgs, NetworkKind
from components.cluster.cluster import Cluster
from components.cluster.container_runtime import containerd_config
from components.cluster.machine import FUNCTIONS
from components.cluster.network import refusal
from components.cluster.preflight import Preflight, PreflightError
from components.remote import Script
from tests.unit.components.answers import unpacked
from tests.unit.components.cluster.conftest import (
    SERVING,
    Host,
    cluster_args,
    cluster_section,
    configure_containerd,
    preflight_args,
)
from tests.unit.components.cluster.test_cluster import ADDRESSES, ARGS, COMMAND, LOCAL_COMMAND, answering

MANIFEST = "apiVersion: v1\nkind: Secret\nmetadata: {name: ca}\nstringData: {key: hush}\n"

NETWORK: dict[NetworkKind, dict[str, str]] = {"built-in": {}, "manifest": {"manifest": "calico.yaml"}}
"""The section for each kind of network."""


def with_manifest(folder: Path, text: str = MANIFEST) -> ClusterArgs:
    """The arguments of a stack with a manifest of this text."""
    file = folder / f"{hash(text)}.yaml"
    file.write_text(text)
    return replace(ARGS, cluster=cluster_section(network={"manifest": str(file)}))


@pytest.fixture
def cluster(pulumi_mocks: Any, tmp_path: Path) -> Any:
    answering(pulumi_mocks).run(lambda: Cluster("lab", with_manifest(tmp_path)).kubeconfig)
    return pulumi_mocks


def test_it_takes_the_place_of_the_built_in_network(cluster: Any) -> None:
    assert cluster.named("lab-network").type == "argus:cluster:NetworkManifest"
    assert not cluster.of_type("argus:cluster:Network")
    (applied,) = cluster.children("lab-network")
    assert "\nHOST=192.0.2.10\n" in applied.inputs["create"]
    assert {f"lab-{name}-joined" for name in ADDRESSES} <= cluster.named("lab-network").depends_on
    assert applied.name in cluster.named("lab-cp1-upgrade").depends_on
    assert "delete" not in applied.inputs


def test_its_text_is_a_secret_and_its_digest_shows_a_change(pulumi_mocks: Any, tmp_path: Path) -> None:
    scripts = []
    for text in (MANIFEST, MANIFEST.replace("hush", "rush")):
        recorder = type(pulumi_mocks)()
        answering(recorder).run(lambda text=text: Cluster("lab", with_manifest(tmp_path, text)).kubeconfig)
        applied = recorder.named("lab-network-applied")
        assert applied.inputs["stdin"] == text
        assert "stdin" in applied.secret_inputs
        assert {"stdin", "stdout", "stderr"} <= applied.secret_outputs
        assert applied.inputs["logging"] == "none"
        for each in recorder.of_type(COMMAND) + recorder.of_type(LOCAL_COMMAND):
            commands = each.inputs.get("create", "") + each.inputs.get("delete", "")
            assert "hush" not in commands + unpacked(commands), each.name
        scripts.append(applied.inputs["create"])
    assert scripts[0] != scripts[1]


def test_a_preview_needs_no_machine(pulumi_mocks: Any, tmp_path: Path) -> None:
    pulumi_mocks.run(lambda: Cluster("lab", with_manifest(tmp_path)).endpoint, preview=True)
    assert pulumi_mocks.named("lab-network-applied")


@pytest.mark.parametrize(
    ("running", "wanted", "reason"),
    [
        (None, "built-in", None),
        (None, "manifest", None),
        ("built-in", "built-in", None),
        ("manifest", "manifest", None),
        ("built-in", "manifest", "the cluster's network is Argus's own, .* remove the key again"),
        ("manifest", "built-in", "is its own manifest's, .* set its manifest again, or `pulumi destroy` first"),
    ],
)
def test_a_living_cluster_keeps_its_kind(
    pulumi_mocks: Any, running: str | None, wanted: NetworkKind, reason: str | None
) -> None:
    refused = refusal(running, wanted)
    assert (refused is None) is (reason is None)
    if reason is not None:
        args = preflight_args(cluster={"network": NETWORK[wanted]}, running_network=running, running_version="1.36.1")
        with pytest.raises(PreflightError, match=rf"no machine was changed: argus:cluster\.network: .*{reason}"):
            pulumi_mocks.run(lambda: Preflight("check", args).passed["cp1"], preview=True)


def test_a_cluster_made_before_there_was_a_choice_has_the_built_in_one(pulumi_mocks: Any) -> None:
    pulumi_mocks.run(lambda: Preflight("old", preflight_args(running_version="1.36.1")).passed["cp1"], preview=True)
    other = preflight_args(cluster={"network": NETWORK["manifest"]}, running_version="1.36.1")
    with pytest.raises(PreflightError, match="the cluster's network is Argus's own"):
        pulumi_mocks.run(lambda: Preflight("old", other).passed["cp1"], preview=True)


@pytest.mark.parametrize(("network", "folder"), [("built-in", "/usr/lib/cni"), ("manifest", "/opt/cni/bin")])
def test_containerd_looks_for_plugins_where_the_network_has_them(network: NetworkKind, folder: str) -> None:
    config = containerd_config(cluster_args(cluster=cluster_section(network=NETWORK[network])))
    assert f'bin_dir = "{folder}"' in config


@pytest.fixture
def machine(hosts: dict[str, Host]) -> Host:
    """A control plane before it joins, with Debian's plugins and another existing one."""
    host = hosts["cp1"]
    host.program("ctr", SERVING)
    host.program("pull_images", "")
    for path, text in {"/usr/lib/cni/loopback": "Debian's", "/usr/lib/cni/portmap": "Debian's"}.items():
        host.path(path).parent.mkdir(parents=True, exist_ok=True)
        host.path(path).write_text(text)
    for path in ("/opt/cni/bin/portmap", "/etc/cni/net.d/99-mine.conf", "/var/lib/cni/networks/mine/10.9.0.1"):
        host.path(path).parent.mkdir(parents=True, exist_ok=True)
        host.path(path).write_text("somebody's")
    host.path("/var/lib/argus").mkdir(parents=True)
    return host


def _prepare(host: Host, network: NetworkKind) -> None:
    plugins = {"built-in": "/usr/lib/cni", "manifest": "/opt/cni/bin"}[network]
    configure_containerd(host, network=network, plugins=str(host.path(plugins)))


def test_its_plugins_come_beside_the_common_ones_and_go_with_the_node(machine: Host) -> None:
    bin_dir, configuration = machine.path("/opt/cni/bin"), machine.path("/etc/cni/net.d")
    addresses = machine.path("/var/lib/cni/networks")
    _prepare(machine, "manifest")
    assert {each.name: each.read_text() for each in bin_dir.iterdir()} == {
        "loopback": "Debian's",
        "portmap": "somebody's",
    }
    machine.join()
    (bin_dir / "calico").write_text("the network's")
    (bin_dir / "calico-ipam").symlink_to("calico")
    (configuration / "10-calico.conflist").write_text("the network's")
    (addresses / "calico").mkdir()
    (addresses / "calico" / "10.244.0.1").write_text("a pod's")
    _prepare(machine, "manifest")
    machine.run("network_manifest_delete.sh")
    assert [each.name for each in bin_dir.iterdir()] == ["portmap"]
    assert [each.name for each in configuration.iterdir()] == ["99-mine.conf"]
    assert [each.name for each in addresses.iterdir()] == ["mine"]
    assert machine.path("/usr/lib/cni/loopback").read_text() == "Debian's"


def test_the_built_in_network_leaves_others_files_alone(machine: Host) -> None:
    _prepare(machine, "built-in")
    machine.run("network_manifest_delete.sh")
    assert machine.path("/opt/cni/bin/portmap").exists()
    assert not machine.path("/opt/cni/bin/loopback").exists()


@pytest.mark.parametrize(("has", "wanted"), [("built-in", "manifest"), ("manifest", "built-in")])
def test_a_node_refuses_the_other_kind_before_anything_is_changed(
    machine: Host, has: NetworkKind, wanted: NetworkKind
) -> None:
    _prepare(machine, wanted)  # Until it has joined, the network may still change.
    _prepare(machine, has)
    machine.join()
    containerd = machine.path("/etc/containerd/config.toml").stat().st_mtime_ns
    with pytest.raises(subprocess.CalledProcessError) as refused:
        _prepare(machine, wanted)
    assert f"network is of the kind '{has}'" in refused.value.stderr
    assert "set argus:cluster.network back" in refused.value.stderr
    assert machine.path("/etc/containerd/config.toml").stat().st_mtime_ns == containerd


def test_a_node_from_before_there_was_a_choice_keeps_the_built_in_one(machine: Host) -> None:
    machine.join()
    _prepare(machine, "built-in")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        _prepare(machine, "manifest")
    assert "network is of the kind 'built-in'" in refused.value.stderr


KUBECTL = """shift 2
case "$*" in
  apply*)
    [[ $(cat "${!#}") == *hush* ]] || exit 9
    if [[ ! -e $MACHINE/known ]]; then touch "$MACHINE/known"; echo 'no matches for kind "Pool"' >&2; exit 1; fi ;;
  "get nodes "*)
    for node in cp1 worker1; do
      case " $READY " in *" $node "*) echo "$node True" ;; *) echo "$node Unknown" ;; esac
    done ;;
esac"""


def _apply(host: Host, *, ready: str, applies: bool = True, patience: int = 20) -> subprocess.CompletedProcess[str]:
    """Run the script with a shorter time limit."""
    body = (
        KUBECTL.replace("$READY", ready)
        if applies
        else "echo clusterrole/x applied; echo 'error: the namespace \"x\" is not there' >&2; exit 1"
    )
    host.program("kubectl", body)
    script = host.moved("network_manifest.sh")
    text = script.read_text()
    assert {"until_true 60 apply", "until_true 600 nodes_ready"} <= set(map(str.strip, _calls(text)))
    script.write_text(
        text.replace("until_true 60 ", f"until_true {patience} ").replace("until_true 600 ", "until_true 1 ")
    )
    values: dict[str, str | list[str]] = {"DIGEST": "1234", "NODES": ["cp1", "worker1"]}
    rendered = Script(files=[*map(host.moved, FUNCTIONS), script], values=values).render()
    environment = {"PATH": f"{host.root}/bin:/usr/bin:/bin", "MACHINE": str(host.root)}
    return subprocess.run(
        ["/bin/sh", "-c", rendered],
        env=environment,
        input=MANIFEST,
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )


def _calls(text: str) -> list[str]:
    return [line.split(" ||")[0] for line in text.splitlines() if line.startswith("until_true")]


def test_it_is_applied_until_the_cluster_knows_its_kinds(member: Host) -> None:
    done = _apply(member, ready="cp1 worker1")
    assert done.returncode == 0, done.stderr
    tried = [call for call in member.ran("kubectl") if " apply " in call]
    assert len(tried) == 2
    assert "--server-side --force-conflicts" in tried[0]
    assert "hush" not in member.noted
    assert not list(member.root.glob("tmp.*")), "the manifest is left behind"
    assert done.stdout == ""


def test_nodes_that_it_does_not_make_ready_are_named(member: Host) -> None:
    done = _apply(member, ready="cp1")
    assert done.returncode == 1
    assert "does not make these nodes ready: worker1. See" in done.stderr


def test_what_kubectl_says_of_a_manifest_that_it_does_not_take_is_told_once(member: Host) -> None:
    done = _apply(member, ready="", applies=False, patience=2)
    assert done.returncode == 1
    assert done.stderr.count('the namespace "x" is not there') == 1
    assert "clusterrole/x" not in done.stderr
    assert "argus:cluster.network.manifest cannot be applied" in done.stderr


def test_only_a_control_plane_applies_it(hosts: dict[str, Host]) -> None:
    hosts["cp1"].path("noted").touch()
    done = _apply(hosts["cp1"], ready="")
    assert done.returncode == 1
    assert "is no control plane" in done.stderr
    assert hosts["cp1"].ran("kubectl") == []
