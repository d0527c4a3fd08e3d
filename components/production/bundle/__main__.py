"""`python -m components.production.bundle` (`make bundle`): everything that a site downloads, in a folder.

Run it where the registries are reached; carry the folder to the site; docs/production.md has the steps there. A call
that was interrupted goes on where it ended.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pulumi

from components.config import manifest
from components.images import ROOT
from components.production import serving
from components.production.bundle import debian, images, programs
from components.production.bundle.fetch import fetch, run
from components.production.downloads import machine_packages, pulumi_files
from components.production.stack import Declared, SiteError, declare, read

PARTS: Final = ("programs", "images", "debian", "pulumi")
SERVERS: Final = ("docker-registry", "python3", "skopeo")
"""The Debian packages of the computer that serves the bundle."""
OPERATOR: Final = ("curl", "git", "openssh-client", "openssl", "python3", "python3-venv")
"""Those of the computer that runs Pulumi at the site."""


def make(options: argparse.Namespace) -> None:
    """Put every part that is asked for into the folder. Raises SiteError, ConfigError or ManifestError."""
    bundle: Path = options.to
    if "debian" in options.only and not options.suite:
        raise SiteError("say which Debian the machines run, as `--suite bookworm` or `--suite trixie`")
    declared = declare(read(options.stack))
    bundle.mkdir(parents=True, exist_ok=True)
    cluster = declared.settings.cluster
    if {"programs", "images"} & set(options.only):
        _say(f"Kubernetes {cluster.kubernetes_version} from {options.binaries or cluster.binaries}")
        folder = programs.add(bundle, cluster, (options.binaries or cluster.binaries).rstrip("/"))
        if "images" in options.only:
            images.add(bundle, declared, folder / "kubeadm", insecure=options.insecure, there=options.there)
    if "debian" in options.only:
        _say(f"Debian's packages from {options.mirror}")
        given = debian.sources(options.suite, options.mirror, options.security)
        _say(f"{debian.add(bundle, debian_packages(declared), given)} packages")
    if "pulumi" in options.only:
        _add_pulumi(bundle)
    shutil.copy(Path(serving.__file__), bundle / "serve.py")
    _say("checksums")
    serving.write_sums(bundle)


def debian_packages(declared: Declared) -> set[str]:
    """The packages of machines, of the computer that serves the bundle, and of the one that runs Pulumi."""
    return {*machine_packages(declared.settings, control_plane=True), *SERVERS, *OPERATOR}


def _add_pulumi(bundle: Path) -> None:
    """Pulumi, its plugins, and the program's Python packages for this computer's version of Python."""
    for url, name in pulumi_files().items():
        _say(url)
        fetch(url, bundle / "pulumi" / name)
    _say("Python packages of requirements.lock")
    lock, to = str(ROOT / "requirements.lock"), str(bundle / "python")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--requirement", lock, "--dest", to]
    run(pip, remedy="check pip's index (pip config list)")


def _say(what: str) -> None:
    print(what, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the bundle."""
    parser = argparse.ArgumentParser(prog="python -m components.production.bundle", description=__doc__)
    parser.add_argument("--stack", required=True, help="the site's stack, as in Pulumi.<stack>.yaml")
    parser.add_argument("--to", required=True, type=Path, help="the bundle's folder")
    parser.add_argument("--suite", help="the machines' Debian: bookworm, trixie")
    parser.add_argument("--mirror", default=debian.MIRROR, help="Debian's mirror")
    parser.add_argument("--security", default=debian.SECURITY, help="the mirror of Debian's security updates")
    parser.add_argument("--binaries", help="where Kubernetes' programs are; unset: cluster.binaries")
    parser.add_argument("--insecure", action="append", default=[], help="a registry of plain http, host:port")
    parser.add_argument("--there", action="append", default=[], help="a registry whose images the site has anyway")
    parser.add_argument("--only", type=_parts, default=PARTS, help=f"some of {','.join(PARTS)}")
    try:
        make(parser.parse_args(arguments))
    except (SiteError, pulumi.RunError, manifest.ManifestError) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    return 0


def _parts(text: str) -> tuple[str, ...]:
    found = tuple(text.split(","))
    if unknown := set(found) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return found


if __name__ == "__main__":
    sys.exit(main())
