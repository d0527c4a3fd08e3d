"""containerd on a machine: whether it serves pods, and a configuration that every version of it reads."""

import subprocess
import tomllib

import pytest

from components.cluster.container_runtime import containerd_config
from tests.unit.components.cluster.conftest import Host, cluster_args, configure_containerd

PLUGINS = {
    "1.6": """\
TYPE                            ID                       PLATFORMS      STATUS
io.containerd.content.v1        content                  -              ok
io.containerd.snapshotter.v1    aufs                     linux/amd64    skip
io.containerd.grpc.v1           cri                      linux/amd64    {}
""",
    "2.1": """\
TYPE                                      ID                       PLATFORMS      STATUS
io.containerd.cri.v1                      images                   -              ok
io.containerd.cri.v1                      runtime                  linux/amd64    ok
io.containerd.grpc.v1                     cri                      -              {}
""",
}
"""As `ctr plugins list` of each version prints it."""


def configure(host: Host) -> None:
    host.path("/var/lib/argus").mkdir(parents=True, exist_ok=True)
    configure_containerd(host)


@pytest.mark.parametrize("version", PLUGINS)
def test_containerd_serves_pods(hosts: dict[str, Host], version: str) -> None:
    host = hosts["worker1"]
    host.program("ctr", f"cat <<'SAID'\n{PLUGINS[version].format('ok')}SAID")
    configure(host)
    assert host.path("/etc/containerd/config.toml").read_text() == "version = 2\n"


@pytest.mark.parametrize("version", PLUGINS)
@pytest.mark.parametrize("status", ["error", "skip"])
def test_a_containerd_that_answers_and_serves_no_pods_is_an_error(
    hosts: dict[str, Host], version: str, status: str
) -> None:
    """As Docker's does by its own configuration, and any whose configuration it does not understand."""
    host = hosts["worker1"]
    host.program("ctr", f"cat <<'SAID'\n{PLUGINS[version].format(status)}SAID")
    with pytest.raises(subprocess.CalledProcessError) as error:
        configure(host)
    assert "containerd does not serve pods: `ctr plugins list` and" in error.value.stderr


def test_the_configuration_is_of_the_version_that_every_containerd_reads() -> None:
    """2.0 does not know `bin_dirs`, and 2.4 not `bin_dir` of its own version; both translate that of version 2."""
    config = tomllib.loads(containerd_config(cluster_args()))
    assert config["version"] == 2
    assert list(config["plugins"]) == ["io.containerd.grpc.v1.cri"]
