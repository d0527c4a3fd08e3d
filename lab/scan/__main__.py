"""`make scan` prints the known vulnerabilities of what the repository pins, except those in accepted.toml.

It exits with 1 if there are any, with 2 if a source of vulnerabilities did not answer, and with 3 if both. Its answer
changes by date, so `make lint` and `make test` do not ask for it. Nobody tells through a registry about Maven's
packages, Debian's are mended by building an image anew, and the lab's programs stand for official ones.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from lab import sbom
from lab.config import LabError
from lab.scan import go, python
from lab.scan.findings import Acceptance, Finding, NotScannedError, accepted, needless, open_findings

VULNERABLE, NOT_SCANNED, UNUSABLE = 1, 2, 4

Scan = Callable[[], Iterable[Finding]]


def run(scans: Mapping[str, Scan], acceptances: Sequence[Acceptance]) -> int:
    """Run the scans, print what they find, and return the exit status."""
    found: list[Finding] = []
    silent = False
    for kind, scan in scans.items():
        try:
            found += scan()
        except NotScannedError as error:
            silent = True
            print(f"not scanned: {kind}: {error}")
    left = open_findings(found, acceptances)
    for finding in left:
        print(finding.line())
    if not silent:
        for acceptance in needless(found, acceptances):
            print(f"accepted.toml: {acceptance.id} of {acceptance.package} is not found any longer: take it out")
    print(f"{len(left)} known vulnerabilities in what was scanned, and {len(found) - len(left)} that were accepted")
    return (VULNERABLE if left else 0) | (NOT_SCANNED if silent else 0)


def main() -> int:
    """Scan the repository."""
    try:
        taken = sbom.materials()
        return run({"Python packages": lambda: python.scan(taken), "Go programs": go.scan}, accepted())
    except LabError as error:
        print(error, file=sys.stderr)
        return UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
