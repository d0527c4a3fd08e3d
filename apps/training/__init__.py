"""Makes the shipped weights: trains a detector on rendered scenes, and converts the default detector.

Not part of any image. Training and export need ultralytics and torch; `nanodet` needs its `requirements.txt`. The
dataset is rendered by `apps.scenes` with camera names that no stack uses, so that a stack's cameras are unseen scenes.
"""
