"""What a model does wrong with a single frame."""


class AnswerError(ValueError):
    """A model's answer that nobody could use; the message says what is wrong with it. The frame is set aside."""
