"""`python -m components.production.page` (`make docs`) writes the generated parts of docs/production.md.

They are those of the committed stack `prod`: ports, sizes and downloads. A test fails where the page is stale.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from components.cluster.openings import listens_at, openings
from components.config import Settings
from components.images import ROOT
from components.markdown import table
from components.production import downloads, sizes
from components.production.stack import read

PAGE: Final = ROOT / "docs" / "production.md"
STACK: Final = "prod"
_PART: Final = re.compile(r"(<!-- (\w+): made by `make docs` -->\n).*?(<!-- end -->)", re.DOTALL)


def parts() -> Mapping[str, str]:
    """The generated parts by name, as Markdown."""
    found = sizes.sizes(read(STACK))
    written = found[0].declared
    return {
        "ports": f"{ports(written.settings)}\n",
        "sizes": sizes.page(found),
        "downloads": downloads.page(downloads.downloads(written)),
    }


def ports(settings: Settings) -> str:
    """What each machine must let in."""
    needed = openings(settings.cluster, "built-in", ssh_port=settings.ssh.port)
    rows = [
        ["a control plane" if each.control_planes_only else "every machine", each.what, each.source, each.purpose]
        for each in needed
    ]
    own = {kind: listens_at(settings.cluster, control_plane=kind) for kind in (False, True)}
    free = (
        f"A machine is refused where another program listens at {_and(own[False])}; a control plane also at"
        f" {_and([port for port in own[True] if port not in own[False]])}."
    )
    return f"{table(('to', 'what', 'from', 'for'), rows)}\n\n{free}"


def _and(ports: Sequence[int]) -> str:
    return ", ".join(map(str, ports))


def page(text: str, made: Mapping[str, str]) -> str:
    """The page with these parts. Raises LookupError if it has a part that nothing makes, or lacks one."""
    if {name for _, name, _ in _PART.findall(text)} != made.keys():
        raise LookupError(f"{PAGE.name} has not exactly the parts {', '.join(made)}")
    return _PART.sub(lambda part: f"{part[1]}\n{made[part[2]]}\n{part[3]}", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), parts()), encoding="utf-8")
