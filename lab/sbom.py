"""The software bill of materials: what the repository takes from others, as CycloneDX JSON; nothing is downloaded.

`python -m lab.sbom` (`make sbom`) prints it. It lists what locks and manifests pin: Python packages with their hashes,
Go modules, Maven's artifacts as poms name them, the npm package of the default weights, and the cluster's programs.
Debian's packages are not in it: images and machines take the newest of their release.
"""

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from components import versions
from lab.config import ROOT

_WEIGHTS = ROOT / "apps" / "training" / "nanodet" / "package.py"
_LOCKED = re.compile(r"^(?P<name>[\w.-]+)(?:\[[^]]*\])?==(?P<version>[^\s;]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_MODULE = re.compile(r"^(?:require\s+)?(?P<name>[\w.~/-]+\.[\w.~/-]+)\s+(?P<version>v\S+)")
_REPLACED = re.compile(r"^(?:replace\s+)?(?P<old>\S+)(?:\s+v\S+)?\s+=>\s+(?P<name>\S+)\s+(?P<version>v\S+)")
_POM = {"pom": "http://maven.apache.org/POM/4.0.0"}
_FROM = "argus:from"


@dataclass(frozen=True, kw_only=True)
class Material:
    """One thing that is taken, and the file of the repository that says so."""

    url: PackageURL
    source: str
    sha256: tuple[str, ...] = ()
    """The hash of each of its files that may be taken."""


def materials(root: Path = ROOT) -> list[Material]:
    """Everything that the repository's files pin, in the order of the files."""
    found: list[Material] = []
    for path in _tracked(root):
        source = path.relative_to(root).as_posix()
        if path.suffix == ".lock":
            found += _python(path.read_text(), source)
        elif path.name == "go.mod":
            found += _go(path.read_text(), source)
        elif path.name == "pom.xml":
            found += _maven(path.read_text(), source)
    return [*found, *_weights(root), *_programs()]


def bill(taken: Iterable[Material]) -> str:
    """The bill as CycloneDX 1.6 JSON: each thing once, with every file that names it."""
    sources: dict[PackageURL, set[str]] = {}
    hashes: dict[PackageURL, set[str]] = {}
    for each in taken:
        sources.setdefault(each.url, set()).add(each.source)
        hashes.setdefault(each.url, set()).update(each.sha256)
    components = [
        Component(
            name=url.name,
            group=url.namespace,
            version=url.version,
            type=ComponentType.LIBRARY,
            bom_ref=url.to_string(),
            purl=url,
            hashes=_hashes(hashes[url]),
            properties=[Property(name=_FROM, value=source) for source in sorted(named)],
        )
        for url, named in sources.items()
    ]
    root = Component(name="argus", type=ComponentType.APPLICATION, bom_ref="argus")
    bom = Bom(components=components)
    bom.metadata.component = root
    bom.register_dependency(root, components)
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _hashes(sha256: set[str]) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in sorted(sha256)]


def _tracked(root: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.lock", "*go.mod", "*pom.xml"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return [root / line for line in listed.stdout.splitlines()]


def _python(text: str, source: str) -> Iterator[Material]:
    for line in text.replace("\\\n", " ").splitlines():
        if found := _LOCKED.match(line):
            name = re.sub(r"[-_.]+", "-", found["name"]).lower()
            url = PackageURL("pypi", name=name, version=found["version"])
            yield Material(url=url, source=source, sha256=tuple(_HASH.findall(line)))


def _go(text: str, source: str) -> Iterator[Material]:
    replaced: dict[str, tuple[str, str]] = {}
    required: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if found := _REPLACED.match(line):
            replaced[found["old"]] = (found["name"], found["version"])
        elif "=>" not in line and (found := _MODULE.match(line)):
            required[found["name"]] = found["version"]
    for name, version in required.items():
        taken, at = replaced.get(name, (name, version))
        namespace, _, last = taken.rpartition("/")
        yield Material(url=PackageURL("golang", namespace or None, last, at), source=source)


def _maven(text: str, source: str) -> Iterator[Material]:
    project = ElementTree.fromstring(text)
    properties = project.find("pom:properties", _POM)
    values = {each.tag.partition("}")[2]: each.text or "" for each in (properties if properties is not None else ())}

    def field(of: ElementTree.Element, name: str) -> str:
        given = of.findtext(f"pom:{name}", "", _POM)
        return re.sub(r"\$\{([^}]+)\}", lambda found: values.get(found[1], found[0]), given)

    for each in project.iterfind(".//pom:dependency", _POM):
        if version := field(each, "version"):
            url = PackageURL("maven", field(each, "groupId"), field(each, "artifactId"), version)
            yield Material(url=url, source=source)


def _weights(root: Path) -> Iterator[Material]:
    """The npm package of the default weights; its constants are read as text, since its module needs more to import."""
    path = root / _WEIGHTS.relative_to(ROOT)
    if path.exists():
        constants = dict(re.findall(r'^([A-Z0-9_]+) = "([^"]+)"$', path.read_text(), re.MULTILINE))
        namespace, _, name = constants["NAME"].rpartition("/")
        url = PackageURL("npm", namespace, name, constants["VERSION"])
        yield Material(url=url, source=path.relative_to(root).as_posix(), sha256=(constants["TARBALL_SHA256"],))


def _programs() -> Iterator[Material]:
    programs = {
        "kubernetes/kubernetes": f"v{versions.KUBERNETES}",
        "kedacore/keda": f"v{versions.KEDA}",
        "kubernetes-sigs/metrics-server": versions.METRICS_SERVER,
        "kubernetes/autoscaler": f"vertical-pod-autoscaler-{versions.VPA}",
    }
    for path, version in programs.items():
        namespace, _, name = path.partition("/")
        yield Material(url=PackageURL("github", namespace, name, version), source="components/versions.py")


if __name__ == "__main__":
    print(bill(materials()))
