"""Makes the weights that ship: trains the scenes' detector on rendered pictures, and converts the default one.

Not part of any image. Training and export need ultralytics and torch, `nanodet` what its `requirements.txt` lists. The
rendered dataset comes from `apps.scenes` alone, from cameras whose names no stack uses, so that a stack's own cameras
are unseen scenes.
"""
