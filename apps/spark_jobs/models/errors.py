"""Errors of a model on a single frame."""


class AnswerError(ValueError):
    """A model's answer is unusable; the message says why. The frame is rejected."""
