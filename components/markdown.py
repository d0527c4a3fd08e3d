"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def head(columns: Sequence[str]) -> tuple[str, str]:
    """The lines that a table begins with."""
    return row(columns), row(["---"] * len(columns))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The rows under their columns' names."""
    return "\n".join((*head(columns), *map(row, rows)))
