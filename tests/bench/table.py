"""Formats benchmarks: a table in Markdown, and the spread of repeated measurements."""

import os
from collections.abc import Sequence
from statistics import median


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The header and rows with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = [f"{'-' * (width - bool(index))}{':' if index else ''}" for index, width in enumerate(widths)]
    return "\n".join(_line(cells, widths) for cells in (header, rule, *rows))


def spread(values: Sequence[float]) -> str:
    """One value as it is, several as minimum, median and maximum."""
    shown = values if len(values) == 1 else (min(values), median(values), max(values))
    return " / ".join(f"{value:.1f}" for value in shown)


def footer(repeat: int, again: str) -> str:
    """The text below a table: the number of measurements, and the command to repeat them."""
    return (
        f"\n{repeat} measurement(s) of each, min / median / max if more than one; {os.cpu_count()} cores.\n"
        f"Again: {again} REPEAT={repeat}"
    )


def ratio(values: Sequence[float], base: Sequence[float]) -> str:
    """The ratio of the median to the base's median."""
    return f"{median(values) / median(base):.2f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.rjust(width) if index else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *rest])} |"
