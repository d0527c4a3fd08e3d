"""Measures an exported model the way the pipeline uses it: JPEG in, OpenVINO, boxes of the frame out."""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openvino
from numpy.typing import NDArray

from apps.scenes import LABELS, Truth, everything, render
from apps.scenes.seed import dice
from apps.training.picture import letterbox

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Found:
    """One detection in one picture."""

    picture: int
    label: int
    score: float
    box: Box


class Detector:
    """An exported model on one thread."""

    def __init__(self, folder: Path) -> None:
        core = openvino.Core()
        self._model = core.compile_model(core.read_model(folder / "model.xml"), "CPU", {"INFERENCE_NUM_THREADS": 1})

    def detect(self, picture: int, image: NDArray[np.uint8], full_width: int) -> list[Found]:
        """What the model sees in an image, which may be a smaller copy of a frame `full_width` wide."""
        boxed, scale, left, top = letterbox(image)
        scale *= image.shape[1] / full_width
        tensor = boxed[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255
        rows = self._model(np.ascontiguousarray(tensor))[0][0]
        return [
            Found(
                picture=picture,
                label=int(row[5]),
                score=float(row[4]),
                box=(
                    float(row[0] - left) / scale,
                    float(row[1] - top) / scale,
                    float(row[2] - left) / scale,
                    float(row[3] - top) / scale,
                ),
            )
            for row in rows
            if row[4] > 0.01
        ]


def overlap(first: Box, second: Box) -> float:
    """Intersection over union."""
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    if wide <= 0 or high <= 0:
        return 0.0
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return wide * high / (area - wide * high)


def hits(found: Iterable[Found], expected: Sequence[Sequence[Truth]], threshold: float) -> list[tuple[float, bool]]:
    """Each detection's score and whether it matches a truth of its label that no better one has taken.

    As KITTI does, one that matches nothing but what does not count is passed over.
    """
    taken: set[tuple[int, int]] = set()
    answers = []
    for one in sorted(found, key=lambda each: -each.score):
        candidates = [
            (real.counts, share, place)
            for place, real in enumerate(expected[one.picture])
            if real.label == LABELS[one.label]
            and (one.picture, place) not in taken
            and (share := overlap(one.box, real.box)) >= threshold
        ]
        counts, _, place = max(candidates, default=(True, 0.0, None))
        if place is not None:
            taken.add((one.picture, place))
        if counts:
            answers.append((one.score, place is not None))
    return answers


def average_precision(answers: Sequence[tuple[float, bool]], total: int) -> float:
    """Area under the precision-recall curve, at 101 points as COCO does."""
    if not total or not answers:
        return 0.0
    right = np.cumsum([correct for _, correct in answers])
    precision = right / np.arange(1, len(answers) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(right / total, np.linspace(0, 1, 101), side="left")
    return float(np.mean([precision[place] if place < len(precision) else 0.0 for place in places]))


def evaluate(folder: Path, cameras: Sequence[str], frames: int, score: float) -> dict[str, object]:
    """Precision and recall at `score` and IoU 0.5, and mAP, over frames of day and night of each camera."""
    detector = Detector(folder)
    found: list[Found] = []
    expected: list[tuple[Truth, ...]] = []
    for camera in cameras:
        roll = dice("evaluation", camera)
        for _ in range(frames):
            sequence = roll.randrange(1 << 50)
            jpeg = cv2.imencode(".jpg", render(camera, sequence), [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
            image = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_REDUCED_COLOR_2), dtype=np.uint8)
            found += detector.detect(len(expected), image, 640)
            expected.append(everything(camera, sequence))
    sure = hits([one for one in found if one.score >= score], expected, 0.5)
    right = sum(correct for _, correct in sure)
    total = sum(real.counts for each in expected for real in each)
    report: dict[str, object] = {
        "pictures": len(expected),
        "objects": total,
        "score_threshold": score,
        "precision": round(right / max(1, len(sure)), 4),
        "recall": round(right / max(1, total), 4),
    }
    by_label: dict[str, dict[str, float]] = {}
    for index, label in enumerate(LABELS):
        mine = [one for one in found if one.label == index]
        count = sum(real.label == label and real.counts for each in expected for real in each)
        curve = [average_precision(hits(mine, expected, bar), count) for bar in np.arange(0.5, 1.0, 0.05)]
        firm = hits([one for one in mine if one.score >= score], expected, 0.5)
        good = sum(correct for _, correct in firm)
        by_label[label] = {
            "precision": round(good / max(1, len(firm)), 4),
            "recall": round(good / max(1, count), 4),
            "mAP50": round(curve[0], 4),
            "mAP50-95": round(float(np.mean(curve)), 4),
        }
    for key in ("mAP50", "mAP50-95"):
        report[key] = round(float(np.mean([each[key] for each in by_label.values()])), 4)
    report["labels"] = by_label
    return report


def main() -> None:
    """Prints the report as JSON, and records it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prefix", default="held-out-", help="cameras are PREFIX01, PREFIX02, ...")
    parser.add_argument("--cameras", type=int, default=36)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--score", type=float, default=0.35)
    parser.add_argument("--record", action="store_true", help="also write the report into the model's metadata")
    options = parser.parse_args()
    names = [f"{options.prefix}{number:02d}" for number in range(1, options.cameras + 1)]
    report = evaluate(options.folder, names, options.frames, options.score)
    print(json.dumps(report, indent=2))
    if options.record:
        described = f"{names[0]} to {names[-1]}, {options.frames} frames each by day and night, none of them trained on"
        path = options.folder / "metadata.yaml"
        metadata = {**json.loads(path.read_text()), "measured": {"cameras": described, **report}}
        path.write_text(json.dumps(metadata, indent=2) + "\n")


if __name__ == "__main__":
    main()
