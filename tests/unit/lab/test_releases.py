import pytest

from components.versions import KUBERNETES
from lab.toolchain.go_programs import GoGroup
from lab.toolchain.releases import OWN, PREVIOUS, Release

RELEASES = pytest.mark.parametrize("release", [OWN, PREVIOUS], ids=lambda release: release.version)


def group(release: Release, name: str) -> GoGroup:
    return next(each for each in release.groups if each.name == name)


def minor(release: Release) -> int:
    return int(release.version.split(".")[1])


def test_the_lab_builds_what_the_stack_installs_and_the_minor_version_before() -> None:
    assert OWN.version == f"v{KUBERNETES}"
    assert minor(PREVIOUS) == minor(OWN) - 1


@RELEASES
def test_control_plane_speaks_of_one_version(release: Release) -> None:
    text = group(release, "kubernetes").go_mod.read_text()
    staging = [line.split("=>")[1].split() for line in text.splitlines() if "=>" in line]
    assert staging
    assert {pinned for _, pinned in staging} == {release.version.replace("v1.", "v0.", 1)}
    assert f"gitVersion={release.version} " in group(release, "kubernetes").linker_flags()


def test_releases_share_the_sources_and_no_folder_of_programs() -> None:
    assert len({OWN.store, OWN.bin, PREVIOUS.store, PREVIOUS.bin}) == 4
    for older in PREVIOUS.groups:
        own = group(OWN, older.name)
        assert (older.source, older.programs) == (own.source, own.programs)


@pytest.mark.parametrize("name", ["kubernetes", "etcd", "coredns"])
def test_the_previous_release_has_pins_of_its_own(name: str) -> None:
    older, own = group(PREVIOUS, name), group(OWN, name)
    assert older.version().startswith("v")
    assert older.version() != own.version()
    assert older.key("go1.26.8") != own.key("go1.26.8")
    assert older.go_mod.with_name("go.sum").is_file()
    # Go needs the same module name in the pins as in the lab's sources.
    assert older.go_mod.read_text().splitlines()[0] == (own.source / "go.mod").read_text().splitlines()[0]


@RELEASES
def test_every_kubernetes_program_is_a_tool_that_the_pins_cover(release: Release) -> None:
    kubernetes = group(release, "kubernetes")
    tools = {line.strip() for line in kubernetes.go_mod.read_text().splitlines()}
    assert set(kubernetes.programs.values()) <= tools
