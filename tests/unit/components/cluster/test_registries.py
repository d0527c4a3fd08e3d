"""What a machine knows of registries: logins in a file for root alone, authorities, plain http, and a mirror."""

import stat
import subprocess
import tomllib
from typing import Any

import pytest

from components.cluster import registries as known
from components.cluster.container_runtime import ContainerRuntime, containerd_config
from components.cluster.registries import logins
from components.config.sections import Cluster, Registry
from tests.unit.components.answers import unpacked
from tests.unit.components.cluster.conftest import SERVING, Host, cluster_args, cluster_section, configure_containerd
from tests.unit.components.conftest import Recorder

PASSWORD = "p\"ss\\wörd ' $(id)"
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CERTS = "/etc/containerd/certs.d"
CONFIG = "/etc/containerd/config.toml"


def registry(**given: Any) -> Registry:
    """A registry of a stack; its authority is not looked at."""
    ca = given.pop("ca", None)
    return Registry.model_validate(given).model_copy(update={"ca": ca})


LOGIN = {"username": "robot", "password": PASSWORD}


def files(registries: dict[str, Registry], **cluster: Any) -> dict[str, Any]:
    """The files that machines get, by their paths; hosts.toml is read."""
    made = known.files(cluster_section(**cluster), registries)
    return {path: tomllib.loads(text) if path.endswith(".toml") else text for path, text in made.items()}


def test_a_registry_is_known_by_its_authority_and_another_speaks_plain_http() -> None:
    """In a table of its own too: containerd 1.6 reads no file without one, and goes on as if there was none."""
    ca = f"{CERTS}/r.example.com:5000/ca.crt"
    assert files({"r.example.com:5000": registry(ca=CA), "plain.example.com": registry(insecure=True)}) == {
        "plain.example.com/hosts.toml": {
            "server": "http://plain.example.com",
            "host": {"http://plain.example.com": {"capabilities": ["pull", "resolve"]}},
        },
        "r.example.com:5000/ca.crt": CA,
        "r.example.com:5000/hosts.toml": {
            "ca": ca,
            "host": {"https://r.example.com:5000": {"capabilities": ["pull", "resolve"], "ca": ca}},
        },
    }


def test_a_login_alone_needs_no_file_of_hosts() -> None:
    assert files({"r.example.com": registry(pull=LOGIN)}) == {}


def test_the_mirror_is_asked_before_each_registry_and_known_by_its_own_authority() -> None:
    given = {"r.example.com": registry(ca=CA), "m.example.com": registry(ca=CA)}
    found = files(given, registryMirror="https://m.example.com/all")
    mirror = {"capabilities": ["pull", "resolve"], "ca": f"{CERTS}/m.example.com/ca.crt"}
    assert found["_default/hosts.toml"] == {"host": {"https://m.example.com/all": mirror}}
    assert found["r.example.com/hosts.toml"] == {
        "ca": f"{CERTS}/r.example.com/ca.crt",
        "host": {"https://m.example.com/all": mirror},
    }
    assert found["m.example.com/hosts.toml"] == {"ca": mirror["ca"], "host": {"https://m.example.com": mirror}}


def test_a_login_is_given_to_its_own_host_alone_and_containerd_reads_it() -> None:
    given = {"r.example.com:5000": registry(pull=LOGIN), "docker.io": registry(pull=LOGIN), "p.io": registry(ca=CA)}
    whole = tomllib.loads(f"{containerd_config(cluster_args())}\n{logins(given)}")
    configs = whole["plugins"]["io.containerd.grpc.v1.cri"]["registry"]["configs"]
    assert configs == {host: {"auth": LOGIN} for host in ("r.example.com:5000", "registry-1.docker.io")}


def test_what_pushes_stays_off_machines() -> None:
    given = {"r.example.com": registry(push={"username": "writer", "password": "hush"}, ca=CA)}
    assert logins(given) == ""
    assert "hush" not in str(files(given))


def test_the_login_of_a_machine_is_a_secret_on_standard_input(pulumi_mocks: Recorder) -> None:
    args = cluster_args(registries={"r.example.com": registry(pull=LOGIN)})
    with_key = cluster_args(registries={}).on(args.all_machines[0])
    host_keys = {each.host: ["ecdsa-sha2-nistp256 key"] for each in args.all_machines}
    for name, each in {"with": args.on(args.all_machines[0]), "without": with_key}.items():
        ssh = type(each.ssh)(options=each.ssh.options, host_keys=host_keys)
        step = type(each)(**{**vars(each), "ssh": ssh})
        pulumi_mocks.run(lambda name=name, step=step: ContainerRuntime(name, step) and None)
    told, untold = (pulumi_mocks.named(f"{name}-configured") for name in ("with", "without"))
    assert PASSWORD.replace("\\", "\\\\").replace('"', '\\"') in told.inputs["stdin"]
    assert "stdin" in told.secret_inputs
    assert {"stdin", "stdout", "stderr"} <= told.secret_outputs
    assert "rd ' $(id)" not in str({**told.inputs, "stdin": "", "create": unpacked(told.inputs["create"])})
    assert untold.inputs.get("stdin") is None


@pytest.fixture
def host(hosts: dict[str, Host]) -> Host:
    host = hosts["worker1"]
    host.program("ctr", SERVING)
    host.path("/var/lib/argus").mkdir(parents=True)
    return host


def configure(host: Host, registries: dict[str, Registry], *, stdin: str | None = None, **cluster: Any) -> int:
    """Configure containerd as the program does. Returns how often it was restarted."""
    section = Cluster.model_validate({"name": "prod", "endpoint": "192.0.2.10", **cluster})
    given = logins(registries)
    told = known.lines(section, registries)
    return configure_containerd(host, given if stdin is None else stdin, registries=told, logins=bool(given))


def mode(host: Host, path: str) -> int:
    return stat.S_IMODE(host.path(path).stat().st_mode)


def test_logins_are_in_a_file_for_root_alone_and_in_no_command(host: Host) -> None:
    given = {"r.example.com": registry(pull=LOGIN)}
    assert configure(host, given) == 1
    assert host.path(CONFIG).read_text() == f"version = 2\n{logins(given)}\n"
    assert mode(host, CONFIG) == 0o600
    assert "wörd" not in host.noted
    assert configure(host, given) == 0
    # Another password: containerd alone is restarted, which leaves its containers running.
    other = {"r.example.com": registry(pull={**LOGIN, "password": "another"})}
    assert configure(host, other) == 1
    assert "wörd" not in host.path(CONFIG).read_text()
    assert mode(host, CONFIG) == 0o600
    # None any more.
    assert configure(host, {}) == 1
    assert host.path(CONFIG).read_text() == "version = 2\n"
    assert mode(host, CONFIG) == 0o644


def test_logins_that_do_not_arrive_are_an_error(host: Host) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        configure(host, {"r.example.com": registry(pull=LOGIN)}, stdin="")
    assert "the logins at registries did not arrive on standard input" in error.value.stderr


def test_authorities_change_without_a_restart_and_those_taken_out_go(host: Host) -> None:
    configure(host, {})
    first = {"r.example.com:5000": registry(ca=CA), "plain.example.com": registry(insecure=True)}
    assert configure(host, first, registryMirror="http://192.0.2.1:5000") == 0
    folder = host.path(CERTS)
    assert (folder / "r.example.com:5000/ca.crt").read_text() == CA
    toml = (folder / "r.example.com:5000/hosts.toml").read_text()
    assert toml.startswith('ca = "/etc/containerd/certs.d/r.example.com:5000/ca.crt"\n[host."http://192.0.2.1:5000"]\n')
    assert {each.name for each in folder.iterdir()} == {"_default", "plain.example.com", "r.example.com:5000"}
    assert configure(host, {"r.example.com:5000": registry(insecure=True)}) == 0
    assert [each.relative_to(folder).as_posix() for each in sorted(folder.rglob("*"))] == [
        "r.example.com:5000",
        "r.example.com:5000/hosts.toml",
    ]


def test_the_undo_leaves_what_was_there_and_no_login(host: Host) -> None:
    own = host.path(f"{CERTS}/r.example.com/hosts.toml")
    own.parent.mkdir(parents=True)
    own.write_text("somebody's")
    host.path(CONFIG).write_text("their own")
    configure(host, {"r.example.com": registry(ca=CA, pull=LOGIN), "other.example.com": registry(insecure=True)})
    assert own.read_text() != "somebody's"
    host.run("container_runtime_delete.sh")
    assert {each.name for each in host.path("/etc/containerd").rglob("*") if each.is_file()} == {
        "config.toml",
        "hosts.toml",
    }
    assert (own.read_text(), host.path(CONFIG).read_text()) == ("somebody's", "their own")
    everything = [each.read_bytes() for each in host.root.rglob("*") if each.is_file()]
    assert not any("wörd".encode() in each for each in everything)


def test_the_undo_leaves_no_folder_of_its_own(host: Host) -> None:
    configure(host, {"r.example.com": registry(ca=CA, pull=LOGIN)}, registryMirror="http://192.0.2.1:5000")
    host.run("container_runtime_delete.sh")
    assert not host.path("/etc/containerd").exists() or list(host.path("/etc/containerd").iterdir()) == []
