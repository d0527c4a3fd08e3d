from components.versions import KUBERNETES
from lab.toolchain.releases import OWN


def test_the_lab_builds_what_the_stack_installs() -> None:
    assert OWN.version == f"v{KUBERNETES}"


def test_control_plane_speaks_of_one_version() -> None:
    kubernetes = next(group for group in OWN.groups if group.name == "kubernetes")
    staging = [line.split("=>")[1].split() for line in kubernetes.go_mod.read_text().splitlines() if "=>" in line]
    assert {pinned for _, pinned in staging} == {OWN.version.replace("v1.", "v0.", 1)}
