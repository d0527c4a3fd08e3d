import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from apps.scenes.seed import seeded_random
from apps.training.nanodet.pictures import COLLAGE_SIZE, Photograph, PictureError, collage, read_photograph
from apps.training.nanodet.quantize import fit


def photograph(package: str, sha256: str) -> Photograph:
    return Photograph(path=f"{package}/data/cat.png", sha256=sha256, licence="CC0")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package with one picture."""
    data = tmp_path / "argus_test_photographs/data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").touch()
    cv2.imwrite(str(data / "cat.png"), np.full((4, 6, 3), (10, 20, 30), np.uint8))
    monkeypatch.syspath_prepend(str(tmp_path))
    return data.parent


def test_a_pinned_photograph_is_read(package: Path) -> None:
    sha256 = hashlib.sha256((package / "data/cat.png").read_bytes()).hexdigest()
    image = read_photograph(photograph(package.name, sha256))
    assert image.shape == (4, 6, 3)
    assert tuple(image[0, 0]) == (10, 20, 30)


def test_a_photograph_that_is_not_the_pinned_one_is_refused(package: Path) -> None:
    with pytest.raises(PictureError, match=r"cat\.png has the SHA-256 [0-9a-f]{64}, not the pinned 00"):
        read_photograph(photograph(package.name, "00"))
    (package / "data/cat.png").unlink()
    with pytest.raises(PictureError, match=r"cat\.png cannot be read: No such file"):
        read_photograph(photograph(package.name, "00"))


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(PictureError, match="the package argus_no_such_package is not installed"):
        read_photograph(photograph("argus_no_such_package", "00"))


def test_collages_are_the_same_every_time_and_full_of_picture() -> None:
    white = [np.full((90, 160, 3), 255, np.uint8), np.full((300, 200, 3), 255, np.uint8)]
    for number in range(8):
        one, two = (collage(white, seeded_random("test", number)) for _ in range(2))
        assert one.shape[1::-1] == COLLAGE_SIZE
        np.testing.assert_array_equal(one, two)
        assert one.min() == one.max()


def test_a_picture_is_letterboxed_to_red_green_blue() -> None:
    tensor = fit(np.full((100, 100, 3), (0, 0, 255), np.uint8), (64, 96))
    assert tensor.shape == (1, 3, 64, 96)
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor[0, :, 32, 48], [1, 0, 0])
    np.testing.assert_allclose(tensor[0, :, 32, 2], 114 / 255)
