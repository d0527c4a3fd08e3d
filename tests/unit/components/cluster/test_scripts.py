"""Scripts as sent to a machine: values arrive unchanged, and the code is what the linter checks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import components.cluster
from components.cluster.container_runtime import containerd_config, mirror_config
from components.cluster.endpoint import haproxy_config, keepalived_config
from components.cluster.machine import FUNCTIONS, script
from components.cluster.network import cni_config
from components.remote import Script
from tests.unit.components.cluster.conftest import cluster_args, cluster_section, endpoint_args

FOLDER = Path(components.cluster.__file__).parent
NASTY = "a 'quoted' \"word\"; $(touch /tmp/owned) `id` \\ & | > \n second line \t*"


def run(rendered: str, stdin: str = "") -> str:
    return subprocess.run(
        ["/bin/sh", "-c", rendered], input=stdin, capture_output=True, text=True, check=True, timeout=20
    ).stdout


def test_values_arrive_as_they_were_given(tmp_path: Path) -> None:
    file = tmp_path / "print.sh"
    file.write_text('#!/usr/bin/env bash\nprintf %s "$VALUE"\n')
    assert run(Script(files=[file], values={"VALUE": NASTY}).render()) == NASTY


def test_lists_and_flags_have_one_form(tmp_path: Path) -> None:
    file = tmp_path / "print.sh"
    file.write_text('#!/usr/bin/env bash\nprintf "%s|%s|%s" "$LIST" "$FLAG" "$NUMBER"\n')
    assert (
        run(Script(files=[file], values={"LIST": ["a b", "c"], "FLAG": True, "NUMBER": 3}).render()) == "a b\nc|true|3"
    )


def test_a_script_stops_at_its_first_failure(tmp_path: Path) -> None:
    file = tmp_path / "fail.sh"
    file.write_text("#!/usr/bin/env bash\nfalse | true\necho reached\n")
    rendered = Script(files=[file], values={}).render()
    assert subprocess.run(["/bin/sh", "-c", rendered], capture_output=True, check=False).stdout == b""


def test_another_user_becomes_root() -> None:
    given = script("kubeconfig.sh", quarter="2026-4")
    assert given.render("root").startswith("bash -c ")
    assert given.render("admin") == f"sudo -n {given.render('root')}"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.sh")), ids=lambda path: path.name)
def test_shell_is_clean(path: Path) -> None:
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    subprocess.run([shellcheck, "--shell=bash", str(path)], check=True)


def test_a_machine_restores_what_was_there(tmp_path: Path) -> None:
    body = f"""
    STATE={tmp_path}/state
    cd {tmp_path}
    echo mine >{tmp_path}/kept
    put {tmp_path}/kept 0644 <<<theirs
    put {tmp_path}/new 0600 <<<theirs
    put {tmp_path}/kept 0644 <<<again
    cat {tmp_path}/kept
    restore {tmp_path}/kept {tmp_path}/new {tmp_path}/never-written
    cat {tmp_path}/kept
    ls
    """
    file = tmp_path / "roundtrip.sh"
    file.write_text(body)
    out = run(Script(files=[*(FOLDER / each for each in FUNCTIONS), file], values={}).render())
    assert out.splitlines() == ["again", "mine", "kept", "roundtrip.sh", "state"]


def test_the_endpoint_knows_every_control_plane() -> None:
    args = endpoint_args(3)
    for machine in args.machines.control_planes:
        assert f"server {machine.name} {machine.address}:6443 check" in haproxy_config(args)
    peers = keepalived_config(args).split("unicast_peer {")[1].split("}")[0].split()
    assert peers == ["192.0.2.12", "192.0.2.13", "@LEAVING@"]


@pytest.mark.parametrize("privileged", [True, False])
def test_containerd_asks_for_no_more_than_the_machine_may(privileged: bool) -> None:
    as_container = {"cgroupDriver": "cgroupfs", "featureGates": {"KubeletInUserNamespace": True}}
    kubelet = {} if privileged else as_container
    config = containerd_config(cluster_args(cluster=cluster_section(kubelet=kubelet)))
    assert f"SystemdCgroup = {str(privileged).lower()}" in config
    assert f"restrict_oom_score_adj = {str(not privileged).lower()}" in config
    assert 'sandbox_image = "registry.k8s.io/pause:' in config


def test_a_mirror_is_asked_first() -> None:
    assert mirror_config("http://192.0.2.1:5000").startswith('[host."http://192.0.2.1:5000"]')


def test_pods_are_not_masqueraded_among_themselves() -> None:
    assert '"ipMasq": false' in cni_config()
