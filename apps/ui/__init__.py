"""The web page: a live wall of the cameras and a search over what the models saw.

The server keeps a few seconds of each camera in memory and never decodes an image; the browser draws the boxes.
"""
