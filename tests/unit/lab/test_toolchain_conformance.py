import re

import pytest

from lab.toolchain.conformance import BUSYBOX, images
from lab.toolchain.go_programs import GoGroup
from lab.toolchain.images import Image
from lab.toolchain.releases import CONFORMANCE, OWN, PREVIOUS

MADE = images(CONFORMANCE.version)


def group(name: str) -> GoGroup:
    return next(each for each in CONFORMANCE.groups if each.name == name)


def test_the_tests_are_those_of_the_release_that_the_lab_runs() -> None:
    assert CONFORMANCE.version == OWN.version
    own = next(each for each in OWN.groups if each.name == "kubernetes").go_mod.read_text()
    replaced = re.compile(r"^\t(k8s\.io/\S+ => .*)$", re.MULTILINE)
    assert replaced.findall(group("conformance").go_mod.read_text()) == replaced.findall(own)


def test_they_are_no_part_of_the_lab() -> None:
    assert not {each.name for each in CONFORMANCE.groups} & {each.name for each in OWN.groups}
    assert not {CONFORMANCE.store, CONFORMANCE.bin} & {OWN.store, OWN.bin, PREVIOUS.store, PREVIOUS.bin}


@pytest.mark.parametrize("built", CONFORMANCE.groups, ids=lambda built: built.name)
def test_every_program_is_a_tool_that_the_pins_cover(built: GoGroup) -> None:
    lines = built.go_mod.read_text().splitlines()
    assert set(built.programs.values()) <= {line.strip().removeprefix("tool ") for line in lines}
    assert built.go_mod.with_name("go.sum").is_file()
    assert "{" not in built.linker_flags()


@pytest.mark.parametrize("image", MADE, ids=lambda image: image.name)
def test_an_image_copies_all_that_is_made_for_it_and_no_more(image: Image) -> None:
    made = group("conformance")
    copied = [word for line in image.recipe.splitlines() if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert {word for word in copied if word.startswith(("-", "/"))} <= {"--from=files", "/image"}
    assert {word for word in copied if not word.startswith(("-", "/"))} == set(image.programs)
    assert set(image.programs) <= {*made.programs, *made.module_files}


def test_upstream_names_are_the_machines_names() -> None:
    names = [image.name for image in MADE]
    assert f"conformance:{OWN.version}" in names
    assert BUSYBOX in names
    assert len(set(names)) == len(names)
