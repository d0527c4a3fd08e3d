"""Shell scripts that run on machines over SSH: how they are rendered, and how they become Pulumi Commands.

A script is a `.sh` file beside its component and names its inputs at its top (`: "${NAME:?}"`). It is idempotent, so
that an edited script or value simply runs again. It is sent without comments and unused functions (see `shell`), so
that editing those runs nothing. There are no `triggers`: a trigger replaces the resource, which would first run its
`delete` on a live machine.

A machine's login shell may be any shell, and may print lines of its own. So a script travels as words that every shell
leaves as they are, bash runs it without the user's start-up files, and what it prints comes back as one marked line,
its *answer*. Where there is no such line, the script is not known to have run: that is an error, never an empty answer.

Every connection checks the host's key (ADR 11), and that of the bastion if it goes through one (ADR 36).
pulumi-command checks one key; an address that several machines may hold is contacted by OpenSSH from the computer that
runs Pulumi, which checks a list of keys.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pulumi
from pulumi_command import local, remote

from components import config, shell

_HERE = Path(__file__).parent
_KEY, _PASSPHRASE = "ARGUS_SSH_KEY", "ARGUS_SSH_PASSPHRASE"
_BASTION_KEY, _BASTION_PASSPHRASE = "ARGUS_BASTION_KEY", "ARGUS_BASTION_PASSPHRASE"
_KNOWN_HOSTS = "ARGUS_KNOWN_HOSTS"
_WORD_LENGTH = 900
_DIAL_ATTEMPTS = 23
"""pulumi-command waits 0.1 s after the first failure and 5 s at most: 75 s in all, in which a machine starts again."""
"""Characters in a word of a command: csh takes no more than 1024."""
_UNPACK = (
    's=; until [ "$1" = . ]; do s=$s$1; shift || exit; done; shift; '
    's=$(echo $s | base64 -d) && exec bash --norc -pc "$s" argus "$@"'
)
"""Joins the words up to `.`, decodes them and runs that, with the words after `.` as arguments.

It has no character that a shell changes between single quotes. `--norc -p` makes bash ignore ~/.bashrc, which it reads
when sshd started it, BASH_ENV and functions in the environment.
"""
_ANSWERING = """\
argus_step() {
%s
}
set -e
answer=$(argus_step "$@")
answer=$(printf %%s "$answer" | base64 -w 0)
printf '\\nargus-answer:%%s:%%s:\\n' "${#answer}" "$answer"
"""
"""Runs a script and prints its answer; ssh.sh and `answer` read it. The length shows whether anything broke into it."""
_ANSWER = re.compile(r"^argus-answer:(\d+):([A-Za-z0-9+/=]*):$", re.MULTILINE)

Value = str | int | bool | Sequence[str]
"""A value for a script: a list becomes one line per item, a bool becomes `true` or `false`."""


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """How to log in to machines, and the host keys that they must show."""

    options: config.Ssh
    host_keys: Mapping[str, Sequence[pulumi.Input[str]]] = field(default_factory=dict)
    """The SSH host keys accepted for each address, each as `type key`. Other hosts are refused."""
    holders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """For each address that moves, the own addresses of the machines that may hold it."""
    on_error: pulumi.ErrorHook | None = None
    """Called for every command that failed on a machine."""

    def connection(self, host: str, host_key: pulumi.Input[str], dial_attempts: int) -> remote.ConnectionArgs:
        """How pulumi-command reaches a host. Without a key it asks the agent that SSH_AUTH_SOCK names when it runs."""
        bastion = self.options.bastion
        return remote.ConnectionArgs(
            host=host,
            port=self.options.port,
            user=self.options.user,
            private_key=_secret(self.options.key),
            private_key_password=_secret(self.options.key_passphrase),
            host_key=host_key,
            dial_error_limit=dial_attempts,
            per_dial_timeout=5,
            proxy=remote.ProxyConnectionArgs(
                host=bastion.host,
                port=bastion.port,
                user=self.options.bastion_user,
                private_key=_secret(self.options.bastion_login.key),
                private_key_password=_secret(self.options.bastion_login.key_passphrase),
                host_key=bastion.host_key,
                dial_error_limit=dial_attempts,
                per_dial_timeout=5,
            )
            if bastion is not None
            else None,
        )

    @property
    def secrets(self) -> dict[str, pulumi.Input[str]]:
        """The variables of ssh.sh that are secret."""
        login = self.options.bastion_login if self.options.bastion is not None else None
        given = {
            _PASSPHRASE: self.options.key_passphrase,
            _BASTION_KEY: login.key if login else "",
            _BASTION_PASSPHRASE: login.key_passphrase if login else "",
        }
        return {
            _KEY: pulumi.Output.secret(self.options.key),
            **{name: pulumi.Output.secret(value) for name, value in given.items() if value},
        }

    @property
    def values(self) -> dict[str, Value]:
        """The variables of ssh.sh that are not secret."""
        bastion = self.options.bastion
        through: dict[str, Value] = {}
        if bastion is not None:
            through = {
                "BASTION_HOST": bastion.host,
                "BASTION_PORT": bastion.port,
                "BASTION_USER": self.options.bastion_user,
                "BASTION_HOST_KEY": bastion.host_key,
            }
        return {"SSH_USER": self.options.user, "SSH_PORT": self.options.port, **through}

    def keys_of(self, host: str) -> Sequence[pulumi.Input[str]]:
        """The host keys accepted for an address. Raises ValueError if there are none."""
        if not self.host_keys.get(host):
            raise ValueError(f"no SSH host key of {host} is known")
        return self.host_keys[host]


class AnswerError(ValueError):
    """A machine printed something else than the answer of a script."""


def answer(printed: str) -> str:
    """The answer of a script, from all that its machine printed. Raises AnswerError unless there is exactly one."""
    found = [encoded for length, encoded in _ANSWER.findall(printed) if len(encoded) == int(length)]
    if len(found) != 1:
        raise AnswerError(f"{len(found)} answers in {len(printed)} characters")
    return base64.b64decode(found[0], validate=True).decode()


@dataclass(frozen=True, kw_only=True)
class Script:
    """Script files that run as one, in this order, and their values."""

    files: Sequence[Path]
    values: Mapping[str, Value]
    on_machine: bool = False
    """Whether it runs on a machine, where a login shell gets it, or in /bin/sh on the computer that runs Pulumi."""

    def render(self, user: str | None = None, *, rerun: str = "") -> str:
        """The command line that runs this script, with every value quoted; it contains no secrets.

        With `user`, who logs in to a machine, it runs as root. Another `rerun` makes another text, so it runs again.
        On a machine, more words at its end become the script's arguments, and it prints an answer.
        """
        assignments = [f"{name}={shlex.quote(_text(value))}" for name, value in self.values.items()]
        if rerun:
            assignments.append(f"RERUN={shlex.quote(rerun)}")
        text = "\n".join(["set -euo pipefail", *assignments, _body(tuple(self.files))])
        if not self.on_machine:
            return f"bash -c {shlex.quote(text)}"
        packed = base64.b64encode((_ANSWERING % text).encode()).decode()
        words = " ".join(packed[at : at + _WORD_LENGTH] for at in range(0, len(packed), _WORD_LENGTH))
        return f"{'' if user in {None, 'root'} else 'sudo -n '}bash -c '{_UNPACK}' argus {words} ."


def command(
    name: str,
    *,
    host: str,
    ssh: Ssh,
    create: Script,
    stdin: pulumi.Input[str] | None = None,
    secret: bool = False,
    dial_attempts: int = _DIAL_ATTEMPTS,
    opts: pulumi.ResourceOptions,
) -> remote.Command:
    """A Command on `host`; with `secret`, its input and output are neither logged nor stored in plain text.

    Its stdout is all that the machine printed; `answer` reads it. It has no `delete`, because the machine may be dead
    by then: Removal undoes what Commands did.
    Raises ValueError unless exactly one key is accepted for the host.
    """
    (host_key,) = ssh.keys_of(host)
    if secret:
        opts = _secretly(opts, "stdin", "stdout", "stderr")
    if ssh.on_error:
        hook = pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(on_error=[ssh.on_error]))
        opts = pulumi.ResourceOptions.merge(opts, hook)
    return remote.Command(
        name,
        connection=ssh.connection(host, host_key, dial_attempts),
        create=replace(create, on_machine=True).render(ssh.options.user, rerun=ssh.options.rerun),
        stdin=stdin,
        logging=remote.Logging.NONE if secret else remote.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=opts,
    )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A command that runs on the machine that holds an address, and its answer."""

    command: local.Command
    stdout: pulumi.Output[str]


def ask(
    name: str,
    *,
    host: str,
    ssh: Ssh,
    create: Script | None = None,
    delete: Script | None = None,
    stdin: pulumi.Input[str] | None = None,
    secret: bool = False,
    opts: pulumi.ResourceOptions,
) -> Answer:
    """Like `command`, for an address that several machines may hold: any of its host keys is accepted.

    If a host with an unknown key holds the address, such as a machine that is leaving, the machines that may hold it
    are contacted at their own addresses. It tries to connect for longer than pulumi-command does. A `delete` must reach
    its host, unless ARGUS_CLUSTER_LOST says that the cluster is lost. A change of keys or of standard input alone does
    not run the script again: to make a changed input count, give the script a digest of it.
    """

    def asked(script: Script, *, reads: bool = False, deletes: bool = False) -> Script:
        text = replace(script, on_machine=True).render(ssh.options.user)
        values: dict[str, Value] = {"HOST": host, "COMMAND": text, "READS": reads, "DELETES": deletes}
        return Script(files=[_HERE / "ask.sh"], values=values)

    made = command_from_here(
        name,
        ssh=ssh,
        hosts=[host],
        create=asked(create, reads=stdin is not None) if create else None,
        delete=asked(delete, deletes=True) if delete else None,
        stdin=stdin,
        secret=secret,
        opts=opts,
    )
    return Answer(command=made, stdout=printed(made, secret=secret))


def command_from_here(
    name: str,
    *,
    ssh: Ssh,
    hosts: Sequence[str],
    create: Script | None = None,
    delete: Script | None = None,
    about: str = "",
    stdin: pulumi.Input[str] | None = None,
    triggers: Sequence[str] = (),
    secret: bool = False,
    opts: pulumi.ResourceOptions,
) -> local.Command:
    """A Command on the computer that runs Pulumi; its scripts use ssh.sh to reach `hosts`, which may be dead.

    Without `create` it does nothing when it is made. It runs again when its script, its values or the host keys of the
    address `about` change, but not when only other keys change (see once.sh). The first line of its output is for
    once.sh; `printed` removes it. When it runs again, PULUMI_COMMAND_STDOUT has its last output, which is not empty.
    """
    opts = _secretly(opts, "environment", *(("stdin", "stdout", "stderr") if secret else ()))
    rerun = ssh.options.rerun
    if create:
        asked = _from_here(create, ssh).render(rerun=rerun)
        create = _once(create, {"ASKED": hashlib.sha256(asked.encode()).hexdigest()[:16], "ABOUT": about})
    return local.Command(
        name,
        create=_from_here(create, ssh).render(rerun=rerun) if create else None,
        delete=_from_here(delete, ssh).render() if delete else None,
        stdin=stdin,
        environment={**ssh.secrets, _KNOWN_HOSTS: known_hosts(ssh, hosts)},
        triggers=list(triggers) or None,
        logging=local.Logging.NONE if secret else local.Logging.STDERR,
        add_previous_output_in_env=create is not None,
        opts=opts,
    )


def printed(command: local.Command, *, secret: bool) -> pulumi.Output[str]:
    """The output of a command from `command_from_here`; secret only if asked, although its inputs hold the SSH key."""
    answer = command.stdout.apply(lambda text: text.partition("\n")[2])
    return pulumi.Output.secret(answer) if secret else pulumi.Output.unsecret(answer)


def known_hosts(ssh: Ssh, hosts: Sequence[str]) -> pulumi.Output[str]:
    """The known_hosts lines of these addresses, and of the machines that may hold them.

    The latter have a comment that says so, for ssh.sh. Raises ValueError if an address has no key.
    """
    holders = {each: f" may-have-{host}" for host in hosts for each in ssh.holders.get(host, ())}
    keys = {host: list(ssh.keys_of(host)) for host in [*hosts, *holders]}
    return pulumi.Output.from_input(keys).apply(
        lambda accepted: "\n".join(
            f"{host} {key}{holders.get(host, '')}" for host, each in accepted.items() for key in each
        )
    )


def _secret(text: str) -> pulumi.Output[str] | None:
    return pulumi.Output.secret(text) if text else None


def _secretly(opts: pulumi.ResourceOptions, *outputs: str) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=list(outputs)))


def _from_here(script: Script, ssh: Ssh) -> Script:
    return Script(files=[_HERE / "ssh.sh", *script.files], values={**script.values, **ssh.values})


def _once(script: Script, values: Mapping[str, Value]) -> Script:
    return Script(files=[_HERE / "once.sh", *script.files], values={**script.values, **values})


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    return "\n".join(value)


@cache
def _body(files: tuple[Path, ...]) -> str:
    return shell.minimal(*(file.read_text(encoding="utf-8") for file in files))
