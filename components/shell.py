"""Minimises bash scripts: removes comments, blank lines and unused functions.

A step on a machine runs again when its text changes, so the text contains only what the step executes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

_CODE: Final = re.compile(
    r"""(?P<comment>(?<![^\s;&|(])\#[^\n]*)
      | (?P<newline>\n)
      | (?P<single>'[^']*' | \$'(?:\\.|[^'\\])*')
      | (?P<double>")
      | (?P<parameter>\$\{)
      | (?P<open>[$<>]?\()
      | (?P<close>\))
      | (?P<text>\\\n | \\.\#* | <<< | [^\\'"$()<>#\n]+)
      | (?P<document><<(?P<tabs>-?)[ ]*(?P<literal>['"\\]?)(?P<end>\w+)['"]?)
      | (?P<other>[^'])""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED: Final = re.compile(r"(?P<parameter>\$\{)|(?P<open>\$\()|(?P<single>'[^']*')|(?P<text>\\.|.)", re.DOTALL)
_FUNCTION: Final = re.compile(r"(\w+)\(\) [({]")
_BETWEEN_WORDS: Final = re.compile(r"[\s;&|()<>'`]+")


@cache
def minimal(*scripts: str) -> str:
    """The scripts joined to one, without comments, blank lines and unused functions.

    A function counts as used if its name is a word outside double quotes, in top-level code or in a used function. So
    scripts must not build the name of a function, nor take it from a variable.
    A function begins at the start of a line with `name() {` and ends on that line, or at the next line that is `}`.
    Raises ValueError where a script ends within quotes, parentheses or a here-document.
    """
    parts = [part for script in scripts for part in _parts(script)]
    functions = {part.function: part for part in parts if part.function}
    used: set[str] = set()
    todo = {word for part in parts if not part.function for word in part.words}
    while new := (todo & functions.keys()) - used:
        used |= new
        todo = {word for name in new for word in functions[name].words}
    return "\n".join(part.text for part in parts if not part.function or part.function in used)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A command or function of a script, with the words in it that may be function names."""

    text: str
    words: frozenset[str]
    function: str = ""


def _parts(script: str) -> Iterator[_Part]:
    lines = _Reader(script).lines()
    for line in lines:
        if not (found := _FUNCTION.match(line.text)):
            yield line
            continue
        body = [line]
        if line.text.endswith(("{", "(")):
            for each in lines:
                body.append(each)
                if each.text in {"}", ")"}:
                    break
        words = frozenset[str]().union(*(each.words for each in body))
        yield _Part(text="\n".join(each.text for each in body), words=words, function=found[1])


class _Reader:
    """Parses bash just enough to tell code from quotes, here-documents and comments."""

    def __init__(self, script: str) -> None:
        self._script, self._at = f"{script}\n", 0
        self._text, self._words = "", ""
        self._documents: list[re.Match[str]] = []

    def lines(self) -> Iterator[_Part]:
        """The non-blank lines of code, each including the here-documents, quotes and parentheses that it opens."""
        while self._at < len(self._script):
            self._text = self._words = ""
            self._code("\n")
            if self._text.strip():
                yield _Part(text=self._text, words=frozenset(_BETWEEN_WORDS.split(self._words)))

    def _code(self, end: str) -> None:
        while token := _CODE.match(self._script, self._at):
            kind, piece, self._at = token.lastgroup, token[0], token.end()
            if kind == "comment":
                self._text = self._text.rstrip(" \t")
                continue
            if kind == "newline":
                self._read_documents()
            if piece == end == "\n":
                return
            if kind == "newline" and not self._text.rpartition("\n")[2].strip():
                self._text = self._text.rpartition("\n")[0]
            self._text += piece
            self._words += '"' if kind == "double" else piece
            if kind == "open":
                self._code(")")
            elif kind == "double":
                self._quoted('"')
            elif kind == "parameter":
                self._quoted("}")
            elif kind == "document":
                self._documents.append(token)
            elif piece == end:
                return
        raise ValueError(f"a script ends where {end} should follow: {self._text}")

    def _quoted(self, end: str) -> None:
        while token := _QUOTED.match(self._script, self._at):
            kind, piece, self._at = token.lastgroup, token[0], token.end()
            if kind == "single" and end != "}":
                piece, self._at = "'", token.start() + 1
            self._text += piece
            if kind == "open":
                self._words += " "
                self._code(")")
            elif kind == "parameter":
                self._quoted("}")
            elif piece == end:
                return
            elif piece == '"' and end == "}":
                self._quoted('"')
        if end:
            raise ValueError(f"a script ends where {end} should follow: {self._text}")

    def _read_documents(self) -> None:
        for document in self._documents:
            end = re.compile(rf"^{chr(9) + '*' if document['tabs'] else ''}{document['end']}$", re.MULTILINE)
            found = end.search(self._script, self._at)
            if not found:
                raise ValueError(f"a here-document has no end: {document['end']}")
            body = self._script[self._at : found.start()]
            if not document["literal"]:
                inside = _Reader(body)
                inside._quoted("")
                self._words += f" {inside._words}"
            self._text += f"\n{body}{found[0]}"
            self._at = found.end() + 1
        self._documents = []
