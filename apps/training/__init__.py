"""Trains the offline default of the objects model on rendered scenes and exports it to OpenVINO.

Not part of any image: it needs ultralytics and torch. The dataset comes from `apps.scenes` alone, from cameras whose
names no stack uses, so that a stack's own cameras are unseen scenes.
"""
