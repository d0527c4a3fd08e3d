"""The files that machines download over HTTP, in place of dl.k8s.io."""

from pathlib import Path

from components.production import serving
from lab.services import MIRROR_FOLDER
from lab.toolchain import Toolchain

_PROGRAMS = ("kubeadm", "kubelet", "kubectl")


def publish(toolchain: Toolchain) -> Path:
    """Put a release's programs for the machines under `/kubernetes/v<version>/`; return the folder.

    Beside each is its checksum (`kubelet.sha256`), as dl.k8s.io has it: machines take no program without.
    """
    folder = MIRROR_FOLDER / "kubernetes" / toolchain.release.version
    folder.mkdir(parents=True, exist_ok=True)
    for program in _PROGRAMS:
        source = toolchain.program(program)
        target, checksum = folder / program, folder / f"{program}.sha256"
        if target.exists() and target.samefile(source) and checksum.exists():
            continue
        # Rename a new link over the target, so that a running download keeps its file.
        fresh = target.with_name(f".{program}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(source)
        fresh.replace(target)
        serving.write_checksum(target)
    return folder
