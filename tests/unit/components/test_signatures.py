"""Who must have signed which image, what verifies it, and that nothing is touched before.

The scripts run with a cosign of the tests' own; tests/integration/test_signatures.py has the real one.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_kubernetes import core

from components.config import sections
from components.images import SCRIPT as BUILD
from components.images import Images, ImagesArgs
from components.pinned_images import PinnedImages
from components.pipeline.stages import STAGES, images
from components.public_keys import fingerprint
from components.signatures import SCRIPT, Signatures, SignaturesArgs
from tests.signers import KEY, OTHER_KEY, PRIVATE_KEY
from tests.unit.components.conftest import Program, Recorder
from tests.unit.components.test_pinned_images import DIGEST, RELEASE
from tests.unit.stacks import HOSTS

REGISTRY = "registry.example.com/video"
SIGNED = {
    "registry": REGISTRY,
    "insecure": True,
    "requireDigests": True,
    "base": f"debian:1@{DIGEST}",
    "overrides": {"kafka": f"{REGISTRY}/kafka:1@{DIGEST}", "zookeeper": "docker.io/zookeeper:3"},
    "digests": {"docker.io/zookeeper:3": DIGEST},
    "signers": [
        {"images": f"{REGISTRY}/*", "keys": [KEY, OTHER_KEY]},
        {"images": "docker.io/*", "keys": [OTHER_KEY]},
        {"images": "debian:*", "unsigned": True},
    ],
}
SIGNING = {"privateKey": PRIVATE_KEY, "passphrase": "sesame"}
UI = images(STAGES)["ui"]


def section(**more: Any) -> sections.Images:
    return sections.Images.model_validate({**SIGNED, **more})


def test_all_images_that_the_stack_names_are_verified_by_their_digests_and_keys(pulumi_mocks: Recorder) -> None:
    pulumi_mocks.run(lambda: Signatures("signatures", SignaturesArgs(section=section())) and None)
    command = pulumi_mocks.named("signatures-verified").inputs
    assert command["stdin"].splitlines() == [
        f"docker.io/zookeeper:3@{DIGEST}\t1_0",
        f"{REGISTRY}/kafka:1@{DIGEST}\t0_0 0_1",
    ]
    told = command["environment"]
    assert (told["ARGUS_KEY_0_0"], told["ARGUS_KEY_0_1"], told["ARGUS_KEY_1_0"]) == (KEY, OTHER_KEY, OTHER_KEY)
    assert told["ARGUS_KEY_0_1_NAME"].startswith("argus:images.signers[0].keys[1] (SHA-256 ")
    assert fingerprint(OTHER_KEY)[:16] in told["ARGUS_KEY_0_1_NAME"]
    assert told["ARGUS_REGISTRIES"] == "registry.example.com\t-\t-\tinsecure\n"
    assert len(told) == 7


@pytest.mark.parametrize("registry", [REGISTRY, None])
def test_what_must_have_a_signer_is_what_is_verified(pulumi_mocks: Recorder, registry: str | None) -> None:
    every = section(registry=registry, signers=[{"images": "*", "keys": [KEY]}])
    pulumi_mocks.run(lambda: Signatures("signatures", SignaturesArgs(section=every)) and None)
    lines = pulumi_mocks.named("signatures-verified").inputs["stdin"].splitlines()
    assert {line.partition("\t")[0] for line in lines} == {every.pinned(each) for each in every.named.values()}
    assert ("images.base" in every.named) is (f"debian:1@{DIGEST}\t0_0" in lines) is (registry is not None)


def test_the_first_entry_for_an_image_counts_with_or_without_its_digest() -> None:
    every = section()
    for reference in ("docker.io/zookeeper:3", f"docker.io/zookeeper:3@{DIGEST}"):
        assert every.signer(reference) == (1, every.signers[1])
    assert every.signer("quay.io/zookeeper:3") is None


@pytest.mark.parametrize("signing", [None, SIGNING])
def test_an_image_that_is_built_is_verified_and_signed_where_the_stack_has_the_key(
    pulumi_mocks: Recorder, signing: dict[str, str] | None
) -> None:
    pulumi_mocks.outputs["command:local:Command"] = lambda name, inputs: {"stdout": f"{DIGEST}\n"}

    async def run() -> tuple[str, bool]:
        made = Images("images", ImagesArgs(images=[UI], section=section(signing=signing), models=[]))
        assert len(made.builds) == 1
        return await made.refs["ui"].future() or "", await made.refs["ui"].is_secret()

    reference, secret = pulumi_mocks.run(lambda: pulumi.Output.from_input(run()))
    assert reference.endswith(f"@{DIGEST}")
    assert not secret
    build = pulumi_mocks.named("images-ui")
    told = build.inputs["environment"]
    assert (told["ARGUS_KEYS"], told["ARGUS_KEY_0_0"], told["ARGUS_KEY_0_1"]) == ("0_0 0_1", KEY, OTHER_KEY)
    assert told.get("COSIGN_PRIVATE_KEY") == (PRIVATE_KEY if signing else None)
    assert told.get("COSIGN_PASSWORD") == ("sesame" if signing else None)
    assert build.secret_inputs == ({"environment"} if signing else set())


def test_without_signers_nobody_is_told_of_keys(pulumi_mocks: Recorder) -> None:
    pulumi_mocks.run(lambda: Images("images", ImagesArgs(images=[UI], section=section(signers=[]), models=[])) and None)
    assert not [name for name in pulumi_mocks.named("images-ui").inputs["environment"] if "KEY" in name]


def strict(digests: list[str], **more: Any) -> dict[str, Any]:
    """The section of a stack whose official images are accepted unsigned; its own are signed."""
    overrides = {name: f"docker.io/{name}:1@{DIGEST}" for name in ("kafka", "zookeeper", "elasticsearch", "filebeat")}
    signers = [{"images": "registry.example.com/*", "keys": [KEY]}, {"images": "*", "unsigned": True}]
    return {
        "images": {
            "requireDigests": True,
            "base": f"debian@{DIGEST}",
            "overrides": overrides,
            "digests": dict.fromkeys(digests, DIGEST),
            "signers": signers,
            **more,
        }
    }


def digests_of(program: Program, recorder: Recorder) -> list[str]:
    """What the program needs digests for, as its own error says."""
    with pytest.raises(pulumi.RunError) as refused:
        program(HOSTS, strict(RELEASE))
    recorder.resources.clear()
    return RELEASE + [line.split('"')[1] for line in str(refused.value).splitlines() if "images.digests[" in line]


def test_nothing_is_touched_before_all_is_verified(program: Program, pulumi_mocks: Recorder) -> None:
    made = program(HOSTS, strict(digests_of(program, pulumi_mocks)))
    (cluster,) = made.of_type("argus:cluster:Cluster")
    assert cluster.depends_on >= {"signatures-verified"}
    (provider,) = (each for each in made.of_type("pulumi:providers:kubernetes") if each.name == "cluster")
    builds = {each.name for each in made.of_type("command:local:Command") if each.parent == "images"}
    assert {"images-ui", "images-spark", "images-consumer", "images-producer"} <= builds <= provider.depends_on


def test_without_signers_nobody_waits(program: Program) -> None:
    made = program(HOSTS)
    assert [each.name for each in made.resources if "signatures" in each.name] == []
    (provider,) = (each for each in made.of_type("pulumi:providers:kubernetes") if each.name == "cluster")
    assert not [name for name in provider.depends_on if name.startswith("images-")]


def test_an_image_with_a_digest_that_nobody_verifies_is_named(pulumi_mocks: Recorder) -> None:
    def declare(*names: str) -> None:
        pinned = PinnedImages(section())
        for name in names:
            core.v1.Pod(name, spec={"containers": [{"name": "any", "image": f"{name}@{DIGEST}"}]}, opts=pinned.options)
        pinned.check()

    pulumi_mocks.run(lambda: declare(f"{REGISTRY}/kafka:1"))
    with pytest.raises(pulumi.RunError, match="1 images would run without being verified") as refused:
        pulumi_mocks.run(lambda: declare(f"{REGISTRY}/kafka:1", f"{REGISTRY}/other:1"))
    assert f"{REGISTRY}/other:1@{DIGEST}, which {REGISTRY}/other:1 runs" in str(refused.value)


class Registry:
    """A registry with one image, as curl, podman and cosign of the tests' own know it: who signed each digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signed = folder / "signed"
        self.signed.write_text("")
        self.said = folder / "said"
        self.said.write_text("")
        self._program(
            "curl",
            f"[[ -s {folder}/pushed ]] || exit 22\n"
            f"printf 'HTTP/2 200\\r\\ndocker-content-digest: %s\\r\\n' $(<{folder}/pushed)",
        )
        self._program(
            "podman",
            f'echo "podman $1" >>{self.said}\n'
            f'while (($#)); do [[ $1 != --digestfile ]] || printf {DIGEST} | tee {folder}/pushed >"$2"; shift; done',
        )
        self._program("cosign", COSIGN.format(signed=self.signed, said=self.said))

    def _program(self, name: str, text: str) -> None:
        (self.folder / name).write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        (self.folder / name).chmod(0o755)

    def has(self, digest: str, *signers: str) -> None:
        """Let the tag be that of an image that these keys have signed as this image."""
        (self.folder / "pushed").write_text(digest)
        lines = [f"{digest} {signer} argus.dev/image=argus/ui:1" for signer in signers]
        self.signed.write_text("\n".join([*lines, ""]))

    def build(self, **told: str) -> subprocess.CompletedProcess[str]:
        image = {
            "ARGUS_IMAGE": "registry:5000/argus/ui:1",
            "ARGUS_DOCKERFILE": "Dockerfile",
            "ARGUS_BASE": "debian:1",
            "ARGUS_PLATFORM": "linux/amd64",
        }
        keys = {"ARGUS_KEYS": "old new", "ARGUS_KEY_old": "old", "ARGUS_KEY_old_NAME": "the old key"}
        keys |= {"ARGUS_KEY_new": "new", "ARGUS_KEY_new_NAME": "the new key", "ARGUS_PRINT_DIGEST": "1"}
        return self._run(BUILD, "", {**image, **keys, **told})

    def verify(self, lines: str) -> subprocess.CompletedProcess[str]:
        return self._run(SCRIPT, lines, {"ARGUS_KEY_old": "old", "ARGUS_KEY_old_NAME": "the old key"})

    def _run(self, script: Path, stdin: str, told: dict[str, str]) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin", "TMPDIR": str(self.folder), **told}
        return subprocess.run(
            ["/bin/bash", script], env=environment, input=stdin, capture_output=True, text=True, check=False
        )


COSIGN = """
echo "cosign $1" >>{said}
image=${{@: -1}} annotation=
while (($#)); do
  case $1 in
    --key) key=${{2#env://}}; key=${{!key}} ;;
    --annotations) annotation=$2 ;;
    public-key) verb=public ;;
    sign) verb=sign ;;
    verify) verb=verify ;;
  esac
  shift
done
[[ $key != broken ]] || {{ echo "Error: decrypt: no" >&2; exit 1; }}
key=${{key#private }}
case $verb in
  public) echo "$key" ;;
  sign) echo "${{image#*@}} $key $annotation" >>{signed} ;;
  verify)
    grep -q "^${{image#*@}} $key ${{annotation:-.*}}$" {signed} ||
      {{ printf 'Error: no signatures found\\nerror during command execution\\n' >&2; exit 10; }} ;;
esac
"""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


OTHER_DIGEST = f"sha256:{'b' * 64}"


def test_what_is_built_is_signed_and_verified(registry: Registry) -> None:
    done = registry.build(COSIGN_PRIVATE_KEY="private new")
    assert (done.returncode, done.stdout) == (0, f"{DIGEST}\n"), done.stderr
    assert registry.signed.read_text() == f"{DIGEST} new argus.dev/image=argus/ui:1\n"


def test_what_the_registry_has_is_taken_if_a_key_verifies_it(registry: Registry) -> None:
    registry.has(OTHER_DIGEST, "old")
    done = registry.build()
    assert (done.returncode, done.stdout) == (0, f"{OTHER_DIGEST}\n"), done.stderr
    assert "podman" not in registry.said.read_text()


def test_another_key_that_signs_signs_what_the_registry_has_once(registry: Registry) -> None:
    registry.has(OTHER_DIGEST, "old")
    for _ in range(2):
        assert registry.build(COSIGN_PRIVATE_KEY="private new").stdout == f"{OTHER_DIGEST}\n"
    assert "podman" not in registry.said.read_text()
    assert registry.said.read_text().count("cosign sign") == 1
    # So the old key can be taken out, and nothing is built anew.
    assert registry.build(ARGUS_KEYS="new").stdout == f"{OTHER_DIGEST}\n"


@pytest.mark.parametrize("signers", [(), ("stranger",)])
def test_what_no_key_verifies_is_refused_by_who_cannot_sign_and_names_it(
    registry: Registry, signers: tuple[str, ...]
) -> None:
    registry.has(OTHER_DIGEST, *signers)
    done = registry.build()
    assert (done.returncode, done.stdout) == (1, "")
    for key in ("old", "new"):
        assert f"registry:5000/argus/ui@{OTHER_DIGEST}: not verified by the {key} key: no signatures" in done.stderr
    assert "this computer has no argus:images.signing" in done.stderr
    assert "podman" not in registry.said.read_text()


def test_what_no_key_verifies_is_built_anew_by_who_can_sign(registry: Registry) -> None:
    registry.has(OTHER_DIGEST, "stranger")
    done = registry.build(COSIGN_PRIVATE_KEY="private old")
    assert (done.returncode, done.stdout) == (0, f"{DIGEST}\n"), done.stderr
    assert "the registry's image is not signed, so another is built in its place" in done.stderr


def test_another_image_of_the_same_signer_is_not_taken(registry: Registry) -> None:
    registry.has(OTHER_DIGEST, "old")
    registry.signed.write_text(f"{OTHER_DIGEST} old argus.dev/image=argus/kafka:1\n")
    assert registry.build().returncode == 1


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("private stranger", "was signed, but by no key of argus:images.signers for it"),
        ("broken", "argus:images.signing: the private key cannot be read"),
    ],
)
def test_a_key_that_does_not_fit_is_said_and_no_digest_is_printed(registry: Registry, key: str, says: str) -> None:
    done = registry.build(COSIGN_PRIVATE_KEY=key)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr


def test_every_named_image_that_is_not_verified_is_said(registry: Registry) -> None:
    registry.has(DIGEST, "old")
    good, bad, worse = (
        f"r/{name}@{digest}" for name, digest in (("a", DIGEST), ("b", OTHER_DIGEST), ("c", "sha256:0"))
    )
    assert registry.verify(f"{good}\told\n").returncode == 0
    done = registry.verify(f"{good}\told\n{bad}\told\n{worse}\told\n")
    assert done.returncode == 1
    assert f"{bad}: not verified by the old key: no signatures found" in done.stderr
    assert f"{worse}: not verified by the old key" in done.stderr
    assert good not in done.stderr
    assert "2 images are not verified, so nothing is rolled out" in done.stderr


@pytest.mark.parametrize("script", [BUILD, SCRIPT])
def test_a_computer_without_cosign_is_told(registry: Registry, script: Path) -> None:
    (registry.folder / "cosign").unlink()
    assert not any((Path(each) / "cosign").exists() for each in ("/usr/bin", "/bin")), os.environ["PATH"]
    done = registry.build() if script == BUILD else registry.verify("r/a@sha256:0\told\n")
    assert done.returncode == 1
    assert "install cosign 3" in done.stderr
