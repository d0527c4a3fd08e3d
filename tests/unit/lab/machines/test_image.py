import shutil
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("change", ["packages.txt", "rootfs.sh", "files/etc/ssh/sshd_config.d/lab.conf", "files/new"])
def test_the_image_is_another_when_any_part_of_its_recipe_changes(recipe: Path, change: str) -> None:
    before = image.recipe_hash()
    with (recipe / change).open("a") as part:
        part.write("# more\n")
    assert image.recipe_hash() != before
