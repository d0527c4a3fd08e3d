"""Random numbers that depend on names alone: the same on every machine, in every process."""

import random


def seeded_random(*parts: str | int) -> random.Random:
    """A generator seeded by `parts`. Python keeps `random.Random(str)` the same over versions."""
    return random.Random("/".join(str(part) for part in parts))
