"""What podman, docker, cosign and curl on the computer that runs Pulumi are told of registries, and what stays."""

import base64
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pulumi
import pytest

from components.config import sections
from components.config.urls import registry_of
from components.images import SCRIPT as BUILD
from components.images import Image, Images, ImagesArgs, content_tag, context
from components.production.serving import split
from components.registries import variables
from components.signatures import SCRIPT as VERIFY
from tests.certificates import certificate
from tests.unit.components.conftest import Recorder
from tests.unit.components.test_images import DIGEST, program

FUNCTIONS = BUILD.with_name("registries.sh")
PASSWORD = "p\"ss\\wörd '"
PULL = {"username": "reader", "password": "hush"}
PUSH = {"username": "writer", "password": PASSWORD}
RIGHT = base64.b64encode(f"writer:{PASSWORD}".encode()).decode()


def text(given: dict[str, Any], *references: str) -> str:
    """The variable ARGUS_REGISTRIES for these images of a stack with these registries."""
    section = sections.Images.model_construct(
        registries={host: sections.Registry.model_construct(**each) for host, each in given.items()}, insecure=False
    )
    found: list[str] = []

    def told() -> None:
        variable = variables(section, references or [f"{host}/x:1" for host in given]).get("ARGUS_REGISTRIES", "")
        pulumi.Output.from_input(variable).apply(found.append)

    Recorder().run(told)
    return found[0]


def login(**given: str) -> sections.RegistryLogin:
    return sections.RegistryLogin.model_validate(given)


REFERENCES = [
    "debian",
    "debian:12",
    "apache/kafka:3",
    "docker.io/apache/kafka:3",
    "localhost/x",
    "localhost:5000/x",
    "r.example.com/a/b:1",
    "registry:5000/argus/ui:1",
    f"registry:5000/argus/ui@sha256:{'0' * 64}",
]


@pytest.mark.parametrize("reference", REFERENCES)
def test_all_agree_from_which_registry_an_image_comes(reference: str) -> None:
    asked = ["bash", "-c", 'source "$0"; registry_of "$1"', str(FUNCTIONS), reference]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    assert {told, registry_of(reference), split(reference)[0]} == {told}


def test_a_stack_that_says_nothing_of_registries_tells_nothing() -> None:
    assert variables(sections.Images(), ["debian", "r.example.com/x"]) == {}


def test_what_pushes_is_told_alone_and_of_the_images_registries_alone(pulumi_mocks: Recorder) -> None:
    given = {"registry": "r.io/a", "registries": {"r.io": {"pull": PULL, "push": PUSH}, "b.io": {"pull": PULL}}}
    section = sections.Images.model_validate({**given, "base": "b.io/debian:1"})
    own = Image(name="elasticsearch-proxy")
    pulumi_mocks.run(lambda: Images("images", ImagesArgs(images=[own], section=section, models=[])) and None)
    made = pulumi_mocks.named("images-elasticsearch-proxy")
    lines = dict(line.split("\t", 1) for line in made.inputs["environment"]["ARGUS_REGISTRIES"].splitlines())
    assert lines.keys() == {"r.io", "b.io"}
    logins = {host: base64.b64decode(line.split("\t")[0]).decode() for host, line in lines.items()}
    reader = base64.b64encode(b"reader:hush").decode()
    assert json.loads(logins["r.io"]) == {"auths": {"r.io": {"auth": RIGHT}}}
    assert json.loads(logins["b.io"]) == {"auths": {"b.io": {"auth": reader}}}
    assert "environment" in made.secret_inputs


def test_docker_hub_is_called_as_each_program_calls_it() -> None:
    line = text({"docker.io": {"pull": login(**PULL), "push": None, "ca": None, "insecure": False}}, "debian")
    logins = json.loads(base64.b64decode(line.split("\t")[1]))
    assert logins["auths"].keys() == {"docker.io", "https://index.docker.io/v1/"}


class Server(BaseHTTPRequestHandler):
    """A registry that has one image; who asks for it shows a login, or the token of its own server of tokens."""

    kind = "Basic"
    asked: list[str]
    """Each request's method and path, and its kind of authorization."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None: ...

    def _answer(self) -> None:
        given = self.headers.get("Authorization", "")
        url = urlsplit(self.path)
        self.asked.append(f"{self.command} {url.path} {given.partition(' ')[0]}".strip())
        if url.path == "/token":
            query = parse_qs(url.query)
            assert query == {"service": ["the service"], "scope": ["repository:argus/ui:pull"]}
            known = given == f"Basic {RIGHT}"
            self._send(200 if known else 401, body=json.dumps({"token": "a-token", "expires_in": 300}) if known else "")
            return
        right = {"Basic": f"Basic {RIGHT}", "Bearer": "Bearer a-token", "none": ""}[self.kind]
        if given != right:
            self._send(401, {"WWW-Authenticate": self._challenge()})
        elif url.path != "/v2/argus/ui/manifests/1":
            self._send(404)
        else:
            self._send(200, {"Docker-Content-Digest": DIGEST})

    def _challenge(self) -> str:
        if self.kind == "Basic":
            return 'Basic realm="registry"'
        here = self.headers["Host"]
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        return f'Bearer realm="{scheme}://{here}/token",service="the service",scope="repository:argus/ui:pull"'

    def _send(self, status: int, headers: dict[str, str] | None = None, body: str = "") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@contextmanager
def serving(kind: str, tls: Path | None = None) -> Iterator[tuple[str, list[str]]]:
    """A registry of this kind; its host, and what it was asked."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Server,), {"kind": kind, "asked": asked}))
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "tls.crt", tls / "tls.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"localhost:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ASK = 'set -euo pipefail; say() { echo "$*" >&2; }; source "$0"; open_registries; manifest "$1"'


def ask(folder: Path, image: str, registries: str) -> subprocess.CompletedProcess[str]:
    """Ask for an image's manifest; each curl's command line is in the file `ran`."""
    program(folder, "curl", f'echo "$*" >>{folder}/ran\nexec {shutil.which("curl")} "$@"')
    return subprocess.run(
        ["bash", "-c", ASK, str(FUNCTIONS), image],
        env={"PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": str(folder), "ARGUS_REGISTRIES": registries},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def told(**given: Any) -> dict[str, Any]:
    return {"pull": None, "push": None, "ca": None, "insecure": False, **given}


@pytest.mark.parametrize("kind", ["none", "Basic", "Bearer"])
def test_a_registry_is_asked_as_it_wants_to_be(tmp_path: Path, kind: str) -> None:
    with serving(kind) as (host, asked):
        plain = told(insecure=True, push=login(**PUSH) if kind != "none" else None)
        done = ask(tmp_path, f"{host}/argus/ui:1", text({host: plain}))
        assert (done.returncode, done.stderr) == (0, "")
        assert DIGEST in done.stdout
        assert ask(tmp_path, f"{host}/argus/ui:2", text({host: plain})).returncode == 1
    head = "HEAD /v2/argus/ui/manifests/1"
    ways = {"none": [head], "Basic": [head, f"{head} Basic"], "Bearer": [head, "GET /token Basic", f"{head} Bearer"]}
    assert asked[: len(ways[kind])] == ways[kind]
    ran = (tmp_path / "ran").read_text()
    assert not any(secret in ran for secret in (RIGHT, PASSWORD, "a-token"))


@pytest.mark.parametrize("kind", ["Basic", "Bearer"])
def test_a_wrong_login_is_said_and_none_is_left_to_the_push(tmp_path: Path, kind: str) -> None:
    with serving(kind) as (host, _):
        wrong = told(insecure=True, push=login(username="writer", password="wrong"))
        done = ask(tmp_path, f"{host}/argus/ui:1", text({host: wrong}))
        assert (done.returncode, done.stdout) == (2, "")
        assert f'{host} refuses the login of argus:images.registries["{host}"]: correct push' in done.stderr
        done = ask(tmp_path, f"{host}/argus/ui:1", text({host: told(insecure=True)}))
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_a_registry_is_known_by_its_authority(tmp_path: Path) -> None:
    right, other = (certificate(tmp_path / name, "localhost") for name in ("right", "other"))
    with serving("Bearer", tls=right) as (host, _):
        image = f"{host}/argus/ui:1"
        for ca, code in ((right, 0), (other, 2), (None, 1)):
            given = told(push=login(**PUSH), ca=(ca / "tls.crt").read_text() if ca else None)
            done = ask(tmp_path, image, text({host: given}))
            assert done.returncode == code, done.stderr
            said = f'another authority than argus:images.registries["{host}"].ca' in done.stderr
            assert said == (ca == other)


def test_a_login_is_not_sent_to_a_server_of_tokens_in_plain(tmp_path: Path) -> None:
    tls = certificate(tmp_path / "tls", "localhost")
    with serving("Bearer") as (plain, asked), serving("Bearer", tls=tls) as (host, _):
        program(
            tmp_path,
            "sed",
            f'exec {shutil.which("sed")} "$@" | {shutil.which("sed")} "s|https://{host}/token|http://{plain}/token|"',
        )
        given = told(push=login(**PUSH), ca=(tls / "tls.crt").read_text())
        done = ask(tmp_path, f"{host}/argus/ui:1", text({host: given}))
    assert done.returncode == 2
    assert f"sent to http://{plain}/token, in plain" in done.stderr
    assert asked == []


def build(folder: Path, registries: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Build an image on a computer whose programs are in a folder."""
    environment = {
        "PATH": f"{folder}:/usr/bin:/bin",
        "TMPDIR": str(folder),
        "ARGUS_IMAGE": "r.io/argus/ui:1",
        "ARGUS_DOCKERFILE": "Dockerfile",
        "ARGUS_BASE": "b.io/debian:1",
        "ARGUS_PLATFORM": "linux/amd64",
        "ARGUS_REGISTRIES": registries,
        **more,
    }
    return subprocess.run(
        ["/bin/bash", BUILD], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


RECORDING = """
echo "$(basename "$0") $*" >>{said}
while (($#)); do
  case $1 in
    --authfile) echo "authfile $(stat -c %a "$(dirname "$(dirname "$2")")") $(<"$2")" >>{said} ;;
    --cert-dir) echo "ca $(<"$2/ca.crt")" >>{said} ;;
    inspect) exit {inspected} ;;
  esac
  shift
done
echo "login ${{DOCKER_CONFIG:+$(<"$DOCKER_CONFIG/config.json")}}" >>{said}
"""


def test_podman_builds_by_the_base_s_login_and_pushes_by_the_registry_s_and_nothing_is_left(tmp_path: Path) -> None:
    said = tmp_path / "said"
    program(tmp_path, "curl", "exit 22")
    program(tmp_path, "podman", RECORDING.format(said=said, inspected=0))
    given = {"r.io": told(push=login(**PUSH), ca="the authority"), "b.io": told(pull=login(**PULL))}
    done = build(tmp_path, text(given))
    assert done.returncode == 0, done.stderr
    lines = said.read_text().splitlines()
    built, pushed = (next(line for line in lines if line.startswith(f"podman {verb} ")) for verb in ("build", "push"))
    assert "--platform linux/amd64" in built
    assert ("--authfile" in built, "--cert-dir" in built) == (True, False)
    assert ("--authfile" in pushed, "--cert-dir" in pushed) == (True, True)
    assert [line.split()[1] for line in lines if line.startswith("authfile")] == ["700", "700"]
    assert [line for line in lines if line.startswith("ca ")] == ["ca the authority"]
    assert RIGHT not in built + pushed
    assert [each.name for each in tmp_path.glob("argus-*")] == [f"argus-build-{os.getuid()}.lock"]


def test_docker_is_given_the_login_and_told_where_it_reads_an_authority(tmp_path: Path) -> None:
    said = tmp_path / "said"
    program(tmp_path, "curl", "exit 22")
    program(tmp_path, "docker", RECORDING.format(said=said, inspected=0))
    for name in (
        "bash",
        "basename",
        "install",
        "mktemp",
        "rm",
        "sed",
        "flock",
        "id",
        "stat",
        "dirname",
        "base64",
        "mkdir",
    ):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    done = build(tmp_path, text({"r.io": told(push=login(**PUSH))}), PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    logins = [line for line in said.read_text().splitlines() if line.startswith("login ")]
    assert logins == ["login ", f'login {{"auths": {{"r.io": {{"auth": "{RIGHT}"}}}}}}']
    done = build(tmp_path, text({"r.io": told(ca="the authority")}), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "/etc/docker/certs.d/r.io/ca.crt, or install podman" in done.stderr


def test_a_registry_that_refuses_the_login_is_an_error_before_anything_is_built(tmp_path: Path) -> None:
    program(tmp_path, "curl", "printf 'HTTP/1.1 401 No\\r\\nWWW-Authenticate: Basic realm=\"x\"\\r\\n'")
    program(tmp_path, "podman", f"touch {tmp_path}/built")
    done = build(tmp_path, text({"r.io": told(push=login(**PUSH))}))
    assert done.returncode == 1
    assert 'r.io refuses the login of argus:images.registries["r.io"]' in done.stderr
    assert not (tmp_path / "built").exists()
    assert not list(tmp_path.glob("argus-*"))


@pytest.mark.parametrize("there", [False, True])
def test_another_word_fetches_the_base_anew_and_builds_on_it(tmp_path: Path, there: bool) -> None:
    said = tmp_path / "said"
    program(tmp_path, "curl", "exit 22")
    program(tmp_path, "podman", RECORDING.format(said=said, inspected=int(not there)))
    done = build(tmp_path, "", ARGUS_REBUILD="2026-12")
    assert done.returncode == 0, done.stderr
    ran = [line.removeprefix("podman ") for line in said.read_text().splitlines() if line.startswith("podman ")]
    assert [each.split()[0] for each in ran] == ["image", *([] if there else ["pull", "build"]), "build", "push"]
    base = ran[0].split()[-1]
    assert base.startswith("localhost/argus-base:")
    assert f"BASE={base}" in ran[-2]
    if not there:
        assert ran[1] == "pull --platform linux/amd64 b.io/debian:1"
        assert "--label argus.dev/rebuild=2026-12 --build-arg BASE=b.io/debian:1" in ran[2]


def test_cosign_asks_with_the_login_and_authority_of_each_image_s_registry(tmp_path: Path) -> None:
    said = tmp_path / "said"
    program(tmp_path, "cosign", RECORDING.format(said=said, inspected=0))
    given = {"r.io": told(push=login(**PUSH), ca="the authority"), "p.io": told(insecure=True)}
    images = "".join(f"{host}/x@{DIGEST}\told\n" for host in ("r.io", "p.io", "q.io"))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path), "ARGUS_REGISTRIES": text(given)}
    subprocess.run(["bash", VERIFY], env=environment, input=images, text=True, check=True)
    lines = said.read_text().splitlines()
    ran = {line.rpartition(" ")[2].partition("/")[0]: line for line in lines if line.startswith("cosign")}
    assert "--registry-cacert" in ran["r.io"]
    assert "--allow-http-registry" in ran["p.io"]
    assert not any(option in ran["q.io"] for option in ("--registry-cacert", "--allow-http-registry"))
    logins = [line for line in lines if line.startswith("login")]
    assert logins == [f'login {{"auths": {{"r.io": {{"auth": "{RIGHT}"}}}}}}', "login ", "login "]
    assert not list(tmp_path.glob("argus-*"))


def test_the_tag_changes_with_the_word_and_the_platform_and_not_without_them(pulumi_mocks: Recorder) -> None:
    def tag(**section: str) -> str:
        given = sections.Images.model_validate({"registry": "r.io", **section})
        images = ImagesArgs(images=[Image(name="elasticsearch-proxy")], section=given, models=[])
        refs: dict[str, pulumi.Output[str]] = pulumi_mocks.run(lambda: dict(Images("images", images).refs))
        return str(refs["elasticsearch-proxy"])

    plain = content_tag(context(Image(name="elasticsearch-proxy"), {}), "debian:trixie-slim")
    assert tag() == tag(platform="linux/amd64") == f"r.io/argus/elasticsearch-proxy:{plain}"
    assert len({tag(), tag(rebuild="1"), tag(rebuild="2"), tag(platform="linux/arm64")}) == 4
