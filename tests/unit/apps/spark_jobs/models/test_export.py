from pathlib import Path

import pytest
import yaml

from apps.spark_jobs.models.export import ModelError, read_export


def export(folder: Path, **changes: object) -> Path:
    said = {"task": "detect", "imgsz": [192, 320], "names": {0: "person", 1: "car"}, **changes}
    (folder / "best.xml").write_text("<net/>")
    (folder / "best.bin").write_bytes(b"weights")
    (folder / "metadata.yaml").write_text(yaml.safe_dump(said))
    return folder


def test_an_export_says_its_size_names_and_version(tmp_path: Path) -> None:
    read = read_export(export(tmp_path))
    assert (read.width, read.height, read.names) == (320, 192, ("person", "car"))
    assert len(read.version) == 12


def test_the_version_follows_the_weights(tmp_path: Path) -> None:
    before = read_export(export(tmp_path)).version
    (tmp_path / "best.bin").write_bytes(b"other weights")
    assert read_export(tmp_path).version != before


def test_class_numbers_may_be_text(tmp_path: Path) -> None:
    names = {str(number): f"class {number}" for number in range(11)}
    assert read_export(export(tmp_path, names=names)).names[10] == "class 10"


@pytest.mark.parametrize("task", ["segment", "pose", "classify", "obb", None])
def test_a_model_of_another_task_is_refused(tmp_path: Path, task: str | None) -> None:
    with pytest.raises(ModelError, match=f"is of task {task!r}; a job of kind objects runs task 'detect'"):
        read_export(export(tmp_path, task=task))


def test_a_folder_without_an_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no OpenVINO export"):
        read_export(tmp_path)


@pytest.mark.parametrize("changes", [{"imgsz": None}, {"names": None}, {"names": {1: "car"}}, {"imgsz": [1, 2, 3]}])
def test_malformed_metadata_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        read_export(export(tmp_path, **changes))
