"""The Kubernetes programs that machines download, in the layout and with the checksums that they look for."""

from collections.abc import Sequence
from pathlib import Path

from components.config import Cluster
from components.config.sections import PROGRAMS
from components.production.bundle.fetch import AbsentError, fetch, text
from components.production.serving import FILES, write_checksum
from components.production.stack import SiteError

FOLDER = "kubernetes"
"""Below what is served over HTTP; `cluster.binaries` ends with it."""
_LAYOUTS = ("v{version}", "v{version}/bin/linux/amd64")
"""Of a flat mirror, and of dl.k8s.io, as functions/release.sh knows them."""


def add(bundle: Path, cluster: Cluster, source: str) -> Path:
    """Put the programs of the stack's version into the bundle; return their folder. Raises SiteError."""
    version = cluster.kubernetes_version
    folder = bundle / FILES / FOLDER / f"v{version}"
    given = dict(line.split(" ") for line in cluster.checksums_of_programs)
    for program in PROGRAMS:
        _fetch(
            [f"{source}/{layout.format(version=version)}/{program}" for layout in _LAYOUTS], folder, given.get(program)
        )
        write_checksum(folder / program)
    return folder


def _fetch(urls: Sequence[str], folder: Path, checksum: str | None) -> None:
    """Download a program from the first URL that has it, with the stack's checksum or the one beside it."""
    for url in urls:
        target = folder / url.rpartition("/")[2]
        try:
            fetch(url, target, checksum=checksum or text(f"{url}.sha256").split()[0])
        except AbsentError:
            continue
        target.chmod(0o755)
        return
    raise SiteError(
        f"none of {', '.join(urls)} is there with a .sha256 beside it: check cluster.binaries, or give"
        " argus:cluster.checksums"
    )
