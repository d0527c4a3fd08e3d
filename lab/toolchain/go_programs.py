"""Host programs built from Go modules, which each group's go.mod and go.sum pin; results are cached by their inputs."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.config import ROOT, LabError
from lab.progress import Step, step
from lab.shell import ending
from lab.toolchain.go_compiler import Go

SOURCES = Path(__file__).resolve().parent / "go"
PROVIDERS = ROOT / "lab" / "providers"

_ENVIRONMENT = {
    # Build static programs, which run on the host, on every machine and in an empty image.
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly -buildvcs=false",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
_STRIP = ("-s", "-w")
# Without -vet=off, Go would first check the sources and those of all imported packages.
_BUILD_TESTS = ("test", "-c", "-vet=off")
_PINS = ("go.mod", "go.sum")
_PROGRAM_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class GoGroup:
    """Programs built from one Go module of this repository, whose go.mod pins their sources."""

    name: str
    source: Path
    pins: Path | None = None
    """The folder of the go.mod and go.sum to use, if those in `source` belong to another release."""
    programs: Mapping[str, str]
    """The package of each program, by file name. A file name that ends in `.test` means the package's test binary."""
    version_of: str = ""
    """The required module whose version the programs report."""
    version_variables: tuple[str, ...] = ()
    """Go variables that the linker sets; the format string after `=` may use {version}, {major} and {minor}."""
    module_files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Files copied from a required module: (module, path in it), by file name."""

    @property
    def go_mod(self) -> Path:
        """The group's go.mod."""
        return (self.pins or self.source) / "go.mod"

    def version(self) -> str:
        """The pinned version of the group's main module, such as v1.36.1; empty for our own sources."""
        return module_version(self.go_mod, self.version_of) if self.version_of else ""

    def linker_flags(self) -> str:
        """The value of `go build -ldflags`: no symbol tables, and the version that the program reports."""
        version = self.version()
        major, minor, *_ = [*version.removeprefix("v").split("."), "", ""]
        flags = [*_STRIP]
        for variable in self.version_variables:
            flags += ["-X", variable.format(version=version, major=major, minor=minor)]
        return " ".join(flags)

    def key(self, go_version: str) -> str:
        """A hash of everything that the result depends on: sources, flags, compiler, copied files."""
        digest = hashlib.sha256()
        recipe = [go_version, self.linker_flags(), sorted(_ENVIRONMENT.items()), sorted(self.programs.items())]
        digest.update(repr([*recipe, sorted(self.module_files.items())]).encode())
        for name, path in self._inputs().items():
            digest.update(f"\0{name}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:16]

    def _inputs(self) -> dict[str, Path]:
        """The files that a build reads, by their path in it, without the pins of another release."""
        files = {str(path.relative_to(self.source)): path for path in _source_files(self.source)}
        return files if self.pins is None else files | {name: self.pins / name for name in _PINS}


def _kubernetes_version_variables() -> tuple[str, ...]:
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    values = ("gitVersion={version}", "gitMajor={major}", "gitMinor={minor}", "gitTreeState=clean")
    return tuple(f"{package}.{value}" for package in packages for value in values)


_KEDA = "github.com/kedacore/keda/v2"
_VPA = "k8s.io/autoscaler/vertical-pod-autoscaler"
_KUBE_ROUTER = "github.com/cloudnativelabs/kube-router/v2"
_PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"
_KUBERNETES_PROGRAMS = (
    "kubeadm",
    "kubectl",
    "kubelet",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)

GROUPS: tuple[GoGroup, ...] = (
    GoGroup(
        name="pulumi",
        source=SOURCES / "pulumi",
        programs={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
        version_of="github.com/pulumi/pulumi/pkg/v3",
        version_variables=(_PULUMI_SDK + "/go/common/version.Version={version}",),
        # Python's executor must match the engine, so it comes from the engine's SDK.
        module_files={
            "pulumi-language-python-exec": (_PULUMI_SDK, "python/cmd/pulumi-language-python-exec"),
        },
    ),
    GoGroup(
        name="pulumi-python",
        source=SOURCES / "pulumi-python",
        programs={"pulumi-language-python": _PULUMI_SDK + "/python/cmd/pulumi-language-python"},
        version_of=_PULUMI_SDK,
        version_variables=(_PULUMI_SDK + "/go/common/version.Version={version}",),
    ),
    GoGroup(
        name="kubernetes",
        source=SOURCES / "kubernetes",
        programs={program: f"k8s.io/kubernetes/cmd/{program}" for program in _KUBERNETES_PROGRAMS},
        version_of="k8s.io/kubernetes",
        version_variables=_kubernetes_version_variables(),
    ),
    GoGroup(
        name="etcd",
        source=SOURCES / "etcd",
        programs={
            "etcd": "go.etcd.io/etcd/server/v3",
            "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
            "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
        },
        version_of="go.etcd.io/etcd/server/v3",
        version_variables=("go.etcd.io/etcd/api/v3/version.GitSHA={version}",),
    ),
    GoGroup(
        name="coredns",
        source=SOURCES / "coredns",
        programs={"coredns": "."},
        version_of="github.com/coredns/coredns",
        version_variables=("github.com/coredns/coredns/coremain.GitCommit={version}",),
    ),
    GoGroup(
        name="metrics-server",
        source=SOURCES / "metrics-server",
        programs={"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
        version_of="sigs.k8s.io/metrics-server",
        version_variables=_kubernetes_version_variables(),
    ),
    GoGroup(name="pause", source=SOURCES / "pause", programs={"pause": "."}),
)

PROVIDERS_GROUP = GoGroup(
    name="providers",
    source=PROVIDERS,
    programs={f"pulumi-resource-{name}": f"./{name}" for name in ("command", "kubernetes")},
)

KEDA_GROUP = GoGroup(
    name="keda",
    source=SOURCES / "keda",
    programs={"keda": f"{_KEDA}/cmd/operator", "keda-adapter": f"{_KEDA}/cmd/adapter"},
    version_of=_KEDA,
    version_variables=(f"{_KEDA}/version.Version={{version}}",),
)
"""KEDA, for a stack that scales pods by lag."""

VPA_GROUP = GoGroup(
    name="vpa",
    source=SOURCES / "vpa",
    programs={f"vpa-{part}": f"{_VPA}/pkg/{part}" for part in ("admission-controller", "recommender", "updater")},
    version_of=_VPA,
)
"""The Vertical Pod Autoscaler, for a stack that gives pods memory and CPU by their use."""

KUBE_ROUTER_GROUP = GoGroup(
    name="kube-router",
    source=SOURCES / "kube-router",
    programs={"kube-router": f"{_KUBE_ROUTER}/cmd/kube-router"},
    version_of=_KUBE_ROUTER,
    version_variables=(f"{_KUBE_ROUTER}/pkg/version.Version={{version}}",),
)
"""A pod network that enforces policies, for a stack that names its manifest."""

_COSIGN = "github.com/sigstore/cosign/v3"
COSIGN_GROUP = GoGroup(
    name="cosign",
    source=SOURCES / "cosign",
    programs={"cosign": f"{_COSIGN}/cmd/cosign"},
    version_of=_COSIGN,
    version_variables=("sigs.k8s.io/release-utils/version.gitVersion={version}",),
)
"""What signs images and verifies signatures, for the tests of stacks that do."""

_TEST_IMAGES = "test/images"

CONFORMANCE_GROUPS: tuple[GoGroup, ...] = (
    GoGroup(
        name="conformance",
        source=SOURCES / "conformance",
        programs={
            "agnhost": f"k8s.io/kubernetes/{_TEST_IMAGES}/agnhost",
            "e2e.test": "k8s.io/kubernetes/test/e2e",
            "ginkgo": "github.com/onsi/ginkgo/v2/ginkgo",
            "kubeconformance": "k8s.io/kubernetes/test/conformance/image/go-runner",
            "kubectl": "k8s.io/kubernetes/cmd/kubectl",
            "nnp": f"k8s.io/kubernetes/{_TEST_IMAGES}/nonewprivs",
            "sample-apiserver": "k8s.io/sample-apiserver",
        },
        version_of="k8s.io/kubernetes",
        version_variables=_kubernetes_version_variables(),
        module_files={
            "localhost.crt": ("k8s.io/kubernetes", f"{_TEST_IMAGES}/agnhost/porter/localhost.crt"),
            "localhost.key": ("k8s.io/kubernetes", f"{_TEST_IMAGES}/agnhost/porter/localhost.key"),
            "nautilus.jpg": ("k8s.io/kubernetes", f"{_TEST_IMAGES}/nautilus/html/nautilus.jpg"),
            "nautilus.json": ("k8s.io/kubernetes", f"{_TEST_IMAGES}/nautilus/html/data.json"),
        },
    ),
    # A separate module, because it needs a newer client-go.
    GoGroup(
        name="hydrophone",
        source=SOURCES / "hydrophone",
        programs={"hydrophone": "sigs.k8s.io/hydrophone"},
        version_of="sigs.k8s.io/hydrophone",
    ),
)
"""Kubernetes' conformance tests, the programs that they run in the cluster, and their runner (`make conformance`)."""


def module_version(go_mod: Path, module: str) -> str:
    """The version of a module that a go.mod requires. Raises LabError if it does not require the module."""
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)", go_mod.read_text(), re.MULTILINE)
    if found is None:
        raise LabError(f"{go_mod}: {module} is not required there")
    return found[1]


def build(group: GoGroup, destination: Path, log: Path, go: Go) -> None:
    """Build a group's programs into `destination`, which is created only when complete. Raises LabError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with (
        step(f"building {group.name}") as shown,
        tempfile.TemporaryDirectory(prefix=f".{group.name}-", dir=destination.parent) as work,
    ):
        binaries = Path(work) / "bin"
        binaries.mkdir()
        for number, (program, package) in enumerate(group.programs.items()):
            shown.now(done=number, total=len(group.programs))
            verb = _BUILD_TESTS if program.endswith(".test") else ("build",)
            command = [str(go.program), *verb, *_modfile(group), "-v", "-trimpath", "-ldflags", group.linker_flags()]
            with step(program):
                _run_go([*command, "-o", str(binaries / program), package], group, log, shown)
        for name, (module, path) in group.module_files.items():
            _take_module_file(go, group, module, path, binaries / name)
        Path(work).chmod(0o755)
        # An interrupted run leaves only the hidden work folder, which the next run removes.
        Path(work).rename(destination)
        Path(work).mkdir()


def _run_go(command: list[str], group: GoGroup, log: Path, shown: Step) -> None:
    start = time.monotonic()
    lines: list[str] = []
    with (
        log.open("a") as record,
        subprocess.Popen(
            command,
            cwd=group.source,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        limit = threading.Timer(_PROGRAM_SECONDS, process.terminate)
        limit.start()
        try:
            for line in process.stdout:
                record.write(line)
                lines.append(line.rstrip())
                shown.now(f"{len(lines)} packages, now {lines[-1]}")
        except BaseException:
            process.terminate()
            raise
        finally:
            limit.cancel()
    if process.returncode != 0:
        if time.monotonic() - start >= _PROGRAM_SECONDS:
            what = f"building {shown.tasks[-1].title} of {group.name}"
            raise LabError(f"{what}: no end after {_PROGRAM_SECONDS:.0f} s; run it again to go on (log: {log})")
        raise LabError(f"building {group.name} failed; all of it is in {log}\n{ending(lines)}")


def _modfile(group: GoGroup) -> tuple[str, ...]:
    """The option that names another go.mod (with go.sum beside it); empty if it is with the sources."""
    return () if group.pins is None else (f"-modfile={group.go_mod}",)


def _take_module_file(go: Go, group: GoGroup, module: str, path: str, destination: Path) -> None:
    command = [str(go.program), "list", *_modfile(group), "-m", "-f", "{{.Dir}}", module]
    environment = {**os.environ, **_ENVIRONMENT}
    listed = subprocess.run(command, cwd=group.source, env=environment, check=False, capture_output=True, text=True)
    if listed.returncode != 0 or not listed.stdout.strip():
        raise LabError(f"building {group.name} failed: where is {module}? {listed.stderr.strip()}")
    shutil.copyfile(Path(listed.stdout.strip()) / path, destination)
    destination.chmod(0o755)


def _source_files(source: Path) -> Iterable[Path]:
    """The files that a build reads, without tests, in a fixed order."""
    return sorted(path for path in source.rglob("*") if path.is_file() and not path.name.endswith("_test.go"))
