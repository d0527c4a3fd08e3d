"""Secrets that the program draws itself and keeps in the stack's state."""

import pulumi
from pulumi_command import local

_DRAW = "head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\\n'"
"""256 bits as text. Another command here would draw every secret of every stack anew."""


def secret(name: str, *, redraw: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """A random secret of 43 letters, digits, `-` and `_`; it stays until `redraw` is another word.

    It is drawn on the computer that runs Pulumi, never logged, and encrypted in the state.
    """
    made = local.Command(
        name,
        create=_DRAW,
        triggers=[redraw] if redraw else None,
        logging=local.Logging.NONE,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["stdout"])),
    )
    return pulumi.Output.secret(made.stdout.apply(lambda text: text.strip()))
