"""The files that machines download over HTTP, where a user's machines would take dl.k8s.io."""

from pathlib import Path

from lab.services import MIRROR_FOLDER
from lab.toolchain import Toolchain

_PROGRAMS = ("kubeadm", "kubelet", "kubectl")


def publish(toolchain: Toolchain) -> Path:
    """Put a release's programs for the machines under `/kubernetes/v<version>/`; the folder."""
    folder = MIRROR_FOLDER / "kubernetes" / toolchain.release.version
    folder.mkdir(parents=True, exist_ok=True)
    for program in _PROGRAMS:
        source = toolchain.program(program)
        target = folder / program
        if target.exists() and target.samefile(source):
            continue
        # A link beside the target, then renamed over it: a download under way keeps the file that it began with.
        fresh = target.with_name(f".{program}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(source)
        fresh.replace(target)
    return folder
