"""What a benchmark prints: a table in Markdown, so that it can be pasted, and the spread of repeated measurements."""

import os
from collections.abc import Sequence
from statistics import median


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The rows under the header, columns aligned; the first one to the left, the rest to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = [f"{'-' * (width - bool(index))}{':' if index else ''}" for index, width in enumerate(widths)]
    return "\n".join(_line(cells, widths) for cells in (header, rule, *rows))


def spread(values: Sequence[float]) -> str:
    """The one value, or the least, median and greatest of several."""
    shown = values if len(values) == 1 else (min(values), median(values), max(values))
    return " / ".join(f"{value:.1f}" for value in shown)


def footer(repeat: int, again: str) -> str:
    """What stands below a table: how often each was measured, and the command to do so again."""
    return (
        f"\n{repeat} measurement(s) of each, min / median / max if more than one; {os.cpu_count()} cores.\n"
        f"Again: {again} REPEAT={repeat}"
    )


def ratio(values: Sequence[float], base: Sequence[float]) -> str:
    """How many times the base's median the median is."""
    return f"{median(values) / median(base):.2f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.rjust(width) if index else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *rest])} |"
