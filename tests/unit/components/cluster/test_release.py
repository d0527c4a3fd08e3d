"""What machines download: nothing runs that does not have the checksum or the digest that was asked for."""

import hashlib
import subprocess
from collections.abc import Sequence

import pytest

from components.cluster.machine import FUNCTIONS
from components.remote import Script
from tests.unit.components.cluster.conftest import Host

KUBELET = "the kubelet"
SHA256 = hashlib.sha256(KUBELET.encode()).hexdigest()
OTHER = "0" * 64
IMAGE = "registry.k8s.io/kube-proxy:v1.36.1"
DIGEST = f"sha256:{SHA256}"


def server(checksum: str = "") -> str:
    """A curl that answers for the kubelet, and for its checksum if there is one."""
    return f"""for word in "$@"; do
      if [[ $before == -o ]]; then into=$word; fi
      before=$word
    done
    case $word in
      *.sha256) [[ "{checksum}" ]] || exit 22; echo "{checksum}" ;;
      *) printf %s "{KUBELET}" >"$into" ;;
    esac"""


@pytest.fixture
def host(hosts: dict[str, Host]) -> Host:
    host = hosts["cp1"]
    host.path("/usr/local/bin").mkdir(parents=True)
    host.program(
        "curl",
        'for word; do :; done; cat "${word#@}" >"$MACHINE/request"; printf "HTTP/2 200\\r\\ngrpc-status: 0\\r\\n"',
    )
    return host


def run(host: Host, command: str, *, checksums: Sequence[str] = (), digests: Sequence[str] = ()) -> tuple[int, str]:
    """The exit status and the messages of a command that uses the functions."""
    file = host.root / "command.sh"
    file.write_text(f"{command}\n")
    values = {
        "VERSION": "1.36.1",
        "BINARIES": "http://mirror",
        "REPOSITORY": "registry.k8s.io",
        "IMAGES": "kube-proxy",
        "CHECKSUMS": list(checksums),
        "DIGESTS": list(digests),
    }
    rendered = Script(files=[*(host.moved(each) for each in FUNCTIONS), file], values=values).render()
    environment = {"PATH": f"{host.root}/bin:/usr/bin:/bin", "MACHINE": str(host.root)}
    done = subprocess.run(
        ["/bin/sh", "-c", rendered], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("published", "given"),
    [(SHA256, ()), (f"{SHA256}  kubelet", ()), ("", [f"kubelet {SHA256}"]), (OTHER, [f"kubelet {SHA256}"])],
    ids=["beside it", "beside it with a name", "in the stack", "the stack's word counts"],
)
def test_a_program_with_its_checksum_is_taken(host: Host, published: str, given: Sequence[str]) -> None:
    host.program("curl", server(published))
    assert run(host, "fetch kubelet", checksums=given) == (0, "")
    assert host.path("/usr/local/bin/kubelet").read_text() == KUBELET


@pytest.mark.parametrize(
    ("published", "given", "said"),
    [
        ("", (), 'has no checksum: put kubelet.sha256 beside it, or give argus:cluster.checksums["1.36.1/kubelet"]'),
        ("", [f"kubectl {SHA256}"], "has no checksum"),
        (OTHER, (), f"does not have the SHA-256 {OTHER}: check argus:cluster.binaries and argus:cluster.checksums"),
        (SHA256, [f"kubelet {OTHER}"], f"does not have the SHA-256 {OTHER}"),
    ],
    ids=["none", "another program's", "another beside it", "another in the stack"],
)
def test_any_other_program_is_refused_and_not_kept(host: Host, published: str, given: Sequence[str], said: str) -> None:
    host.program("curl", server(published))
    code, messages = run(host, "fetch kubelet", checksums=given)
    assert code != 0
    assert said in messages
    assert list(host.path("/usr/local/bin").iterdir()) == []


CTR = f"""case "$*" in
  *"images list"*) printf 'REF TYPE DIGEST SIZE\\n{IMAGE} application/x {DIGEST} 1 MiB\\n' ;;
esac"""


@pytest.mark.parametrize("given", [(), [f"{IMAGE} {DIGEST}"], [f"registry.k8s.io/other:1 sha256:{OTHER}"]], ids=str)
def test_an_image_with_its_digest_or_without_one_to_have_is_kept(host: Host, given: Sequence[str]) -> None:
    host.program("kubeadm", f"echo {IMAGE}")
    host.program("ctr", CTR)
    assert run(host, "pull_images", digests=given) == (0, "")
    assert not any("remove" in call for call in host.ran("ctr"))


def test_images_that_kubeadm_does_not_name_are_no_reason_to_pull_none(host: Host) -> None:
    host.program("kubeadm", "exit 1")
    code, messages = run(host, "pull_images", digests=[f"{IMAGE} {DIGEST}"])
    assert code != 0
    assert "kubeadm does not say which images Kubernetes 1.36.1 has" in messages


def test_an_image_with_another_digest_is_refused_and_removed(host: Host) -> None:
    host.program("kubeadm", f"echo {IMAGE}")
    host.program("ctr", CTR)
    code, messages = run(host, "pull_images", digests=[f"{IMAGE} sha256:{OTHER}"])
    assert code != 0
    assert f'has the digest {DIGEST}, not sha256:{OTHER}: check argus:images.digests["{IMAGE}"]' in messages
    assert f"--namespace k8s.io images remove {IMAGE}" in host.ran("ctr")


@pytest.mark.parametrize("name", [IMAGE, f"registry.example.com/{'a' * 300}/pause:3.10.2"], ids=["short", "long"])
def test_containerd_is_asked_for_an_image_as_the_kubelet_asks(host: Host, name: str) -> None:
    """The wire's format: a gRPC frame with PullImageRequest{image: ImageSpec{image: NAME}}."""
    assert run(host, f"pull_image {name}") == (0, "")
    sent = host.path("request").read_bytes()
    assert (sent[0], int.from_bytes(sent[1:5])) == (0, len(sent) - 5)
    outer = field_one(sent[5:])
    assert field_one(outer) == name.encode()


def field_one(message: bytes) -> bytes:
    """The content of a protobuf message that has only a first field, of variable length."""
    assert message[0] == 0x0A
    length, used = 0, 1
    while True:
        byte = message[used]
        length |= (byte & 0x7F) << 7 * (used - 1)
        used += 1
        if not byte & 0x80:
            break
    assert len(message) == used + length
    return message[used:]


def test_why_an_image_is_not_pulled_is_said(host: Host) -> None:
    host.program("kubeadm", f"echo {IMAGE}")
    host.program(
        "curl", 'printf "HTTP/2 200\\r\\ngrpc-status: 2\\r\\ngrpc-message: 401%%20Unauthorized, 100%%25\\r\\n"'
    )
    code, messages = run(host, "pull_images")
    assert code != 0
    assert messages.splitlines() == [
        "401 Unauthorized, 100%",
        f"error: cannot pull {IMAGE} (see above): check argus:cluster.imageRepository and registryMirror, and "
        "argus:images.registries",
    ]


def test_a_containerd_that_does_not_answer_is_an_error(host: Host) -> None:
    host.program("curl", "echo 'curl: (7) Could not connect to server' >&2; exit 7")
    code, messages = run(host, f"pull_image {IMAGE}")
    assert code != 0
    assert "Could not connect" in messages
