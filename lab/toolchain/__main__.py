"""`python3 -m lab.toolchain` builds the host tools, `... images` also the images of the control plane."""

import sys

from lab.config import LabError
from lab.progress import say, step
from lab.toolchain import ensure


def main(arguments: list[str]) -> int:
    """Build what the arguments name; return the exit status."""
    if arguments not in ([], ["images"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        toolchain = ensure()
        if arguments:
            from lab.toolchain.images import ensure_images

            with step("images"):
                ensure_images(toolchain)
    except LabError as error:
        say(str(error))
        return 1
    print(toolchain.release.bin)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
