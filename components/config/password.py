"""`python -m components.config.password` prints the hash of a password, for `argus:access.users`.

It asks for the password twice, or reads it from the first line of standard input. With `--token` it draws a token for
`argus:access.tokens`, and prints the token on standard error and its hash on standard output.
"""

import argparse
import getpass
import sys

from apps.access.hashes import hash_password, hash_token, new_token

SHORTEST = 12
"""Characters of a password; what is shorter can be guessed from a stolen hash."""


class PasswordError(ValueError):
    """The password cannot be used; the message says why."""


def check(password: str) -> str:
    """The password, if it is long enough. Raises PasswordError."""
    if len(password) < SHORTEST:
        raise PasswordError(f"the password has {len(password)} characters; take {SHORTEST} or more")
    return password


def main(arguments: list[str] | None = None) -> int:
    """Print a hash. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m components.config.password", description=__doc__)
    parser.add_argument("--token", action="store_true", help="draw a token for a program instead")
    if parser.parse_args(arguments).token:
        token = new_token()
        print(f"the token, which is shown only now: {token}", file=sys.stderr)
        print(hash_token(token))
        return 0
    try:
        print(hash_password(check(_asked() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n"))))
    except PasswordError as unusable:
        print(unusable, file=sys.stderr)
        return 1
    return 0


def _asked() -> str:
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise PasswordError("the two are not the same; nothing was hashed")
    return password


if __name__ == "__main__":
    sys.exit(main())
