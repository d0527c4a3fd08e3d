"""Keys and certificates that scripts make on the computer that runs Pulumi (openssl.sh)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pulumi
from pulumi_command import local

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final = Path(__file__).with_name("certificate.sh")
"""Makes the certificates of the stack's services."""
BLOCK: Final = re.compile(r"-----BEGIN [^-]+-----\n[^-]+-----END [^-]+-----\n?")
"""A PEM block. The last of what a Command printed has no newline: pulumi-command cuts it off."""


_FIRST_YEAR: Final = "2026"
"""The trigger of all certificates that are made anew each year. Earlier versions had the present year there: with
another trigger, or a period in this year, a stack of theirs would get certificates again that it has, and what connects
to Kafka would restart."""


def printed(
    name: str,
    script: Path,
    arguments: pulumi.Input[str],
    *,
    triggers: Sequence[str] = (),
    period: str = "",
    opts: pulumi.ResourceOptions,
    stdin: pulumi.Input[str] | None = None,
) -> pulumi.Output[str]:
    """What the script prints, as a secret; it stays until the arguments, the input, a trigger or the period are others.

    A preview calls another trigger a replacement, which looks like something lost; another period is an update.
    """
    made = local.Command(
        name,
        # Relative, so that a clone in another folder makes nothing anew.
        create=pulumi.Output.format("bash {0} {1}", os.path.relpath(script, ROOT), arguments),
        stdin=stdin,
        environment={"ARGUS_PERIOD": period} if period else None,
        triggers=list(triggers) or None,
        logging=local.Logging.NONE,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["stdout"])),
    )
    return pulumi.Output.secret(made.stdout)


def authority(
    name: str, script: Path, arguments: str, *, redraw: str = "", opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The certificate and private key of an authority, which stays until the word `redraw` is another.

    Whatever a later version's command says: those who were given this authority's certificate know no other.
    """
    stays = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=["create"]))
    return printed(name, script, arguments, triggers=[redraw] if redraw else [], opts=stays)


def yearly(
    name: str, arguments: pulumi.Input[str], *, authority: pulumi.Input[str], redraw: str, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """A service's key, its certificate and that of the authority, made anew by the first update of a year and for
    another word `redraw`."""
    year = str(datetime.now(UTC).year)
    triggers = [_FIRST_YEAR, *([redraw] if redraw else [])]
    period = "" if year == _FIRST_YEAR else year
    return printed(name, SCRIPT, arguments, triggers=triggers, period=period, stdin=authority, opts=opts)


def public(made: pulumi.Output[str]) -> pulumi.Output[str]:
    """The certificate of a printed key and certificate, no secret."""
    return pulumi.Output.unsecret(block(made, 1))


def block(made: pulumi.Output[str], index: int) -> pulumi.Output[str]:
    """One of the PEM blocks that were printed."""
    return made.apply(lambda text: "".join(BLOCK.findall(text)[index : index + 1]))
