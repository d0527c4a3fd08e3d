import shutil
from pathlib import Path

import pytest

from lab.config import SUITES
from lab.machines import image

PARTS = ("rootfs.sh", "packages.txt", "files")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for part in PARTS:
        source = image._HERE / part
        if source.is_dir():
            shutil.copytree(source, tmp_path / part)
        else:
            shutil.copy2(source, tmp_path / part)
    monkeypatch.setattr(image, "_HERE", tmp_path)
    return tmp_path


def test_the_image_is_the_same_for_the_same_recipe_wherever_it_lies(recipe: Path) -> None:
    here = image.recipe_hash()
    assert here == image.recipe_hash()
    (recipe / "__pycache__").mkdir()
    assert here == image.recipe_hash()


@pytest.mark.usefixtures("recipe")
def test_each_suite_has_an_image_of_its_own_by_the_same_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {suite: image.reference(suite) for suite in SUITES}
    assert len(set(names.values())) == len(SUITES)
    assert image.reference() == names["bookworm"]

    def rootfs(command: list[str], **_: object) -> None:
        Path(command[-1]).write_text(command[1])

    imported: list[tuple[str, ...]] = []
    monkeypatch.setattr(image, "CACHE", tmp_path)
    monkeypatch.setattr(image, "run", rootfs)
    monkeypatch.setattr(image, "succeeds", lambda *_: False)
    monkeypatch.setattr(image, "podman", lambda *arguments, **_: imported.append(arguments[-2:]))
    assert [image.ensure("trixie"), image.ensure()] == [names["trixie"], names["bookworm"]]
    assert [(Path(archive).read_text(), name) for archive, name in imported] == [
        ("trixie", names["trixie"]),
        ("bookworm", names["bookworm"]),
    ]


@pytest.mark.parametrize("change", ["packages.txt", "rootfs.sh", "files/etc/ssh/sshd_config.d/lab.conf", "files/new"])
def test_the_image_is_another_when_any_part_of_its_recipe_changes(recipe: Path, change: str) -> None:
    before = image.recipe_hash()
    with (recipe / change).open("a") as part:
        part.write("# more\n")
    assert image.recipe_hash() != before
