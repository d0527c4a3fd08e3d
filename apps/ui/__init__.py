"""The web UI: a live wall of the cameras and a search over the models' detections.

The server keeps a few seconds of each camera in memory and never decodes an image; the browser draws the boxes.
"""
