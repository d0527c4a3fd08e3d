"""`python -m lab COMMAND`: runs Argus on this host, with containers as machines."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from lab import mirror, network, services, stack, toolchain
from lab.cameras import clips
from lab.cameras import container as cameras
from lab.config import CACHE, CAMERAS_ADDRESS, CAMERAS_PORT, REGISTRY, STATE, LabError, machine, machines
from lab.machines import fleet, image, ssh
from lab.podman import podman
from lab.progress import say, step
from lab.toolchain import go_compiler
from lab.toolchain.addons import ADDONS
from lab.toolchain.images import ensure_images, push_images
from lab.toolchain.releases import PREVIOUS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int | None] = options.run
    try:
        return run(options) or 0
    except LabError as error:
        print(f"lab {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"lab {options.command}: interrupted; run it again to go on", file=sys.stderr)
        return 130


def up(_options: argparse.Namespace) -> None:
    """Make everything that the stack needs around it; what already exists stays."""
    if os.geteuid() != 0:
        raise LabError("the lab's machines need root: systemd and pods in privileged containers")
    with ThreadPoolExecutor(max_workers=1) as meanwhile:
        # Download Debian's packages while the toolchain compiles.
        images = [partial(image.ensure, suite) for suite in sorted({machine.suite for machine in machines()})]
        wanted: tuple[Callable[[], Any], ...] = (*images, clips.ensure, clips.ensure_pictures)
        downloads: list[Future[Any]] = [meanwhile.submit(each) for each in wanted]
        tools = toolchain.ensure()
        for download in downloads:
            download.result()
    machines_up(_options)
    mirror.publish(tools)
    services.ensure()
    with step("images of the control plane"):
        push_images(ensure_images(tools))
    for name in stack.autoscalers():
        _addon(name)
    with step("cameras"):
        cameras.ensure()
    with step("stack and plugins"):
        from lab.toolchain.plugins import install_providers

        stack.ensure()
        install_providers(stack.HOME)


def machines_up(_options: argparse.Namespace) -> None:
    """Only the machines: network, containers, SSH."""
    _clear_leftovers()
    network.set_sysctls()
    network.ensure()
    fleet.ensure(machines())


def services_up(_options: argparse.Namespace) -> None:
    """Only the registry, the mirror and the cameras; the machines must be there."""
    mirror.publish(toolchain.ensure())
    services.ensure()
    cameras.ensure()


def previous(_options: argparse.Namespace) -> None:
    """Add the previous Kubernetes release, to upgrade from; print its version."""
    services.require()
    with step(f"Kubernetes {PREVIOUS.version} (10 minutes the first time)"):
        tools = toolchain.ensure(PREVIOUS)
    mirror.publish(tools)
    with step(f"images of Kubernetes {PREVIOUS.version}"):
        push_images(ensure_images(tools))
    print(PREVIOUS.version.removeprefix("v"))


def go(_options: argparse.Namespace) -> None:
    """Print the folder of the Go that compiles the lab's programs; download Go if there is none."""
    print(go_compiler.ensure().program.parent)


def keda(_options: argparse.Namespace) -> None:
    """Add KEDA's images, for a stack whose pods scale by lag."""
    _addon("keda")


def vpa(_options: argparse.Namespace) -> None:
    """Add the Vertical Pod Autoscaler's images, for a stack whose pods get memory and CPU by their use."""
    _addon("vpa")


def kube_router(_options: argparse.Namespace) -> None:
    """Add kube-router's image, for a stack that names its manifest."""
    _addon("kube-router")


def _addon(name: str) -> None:
    services.require()
    wanted = ADDONS[name]
    with step(f"{wanted.title} ({wanted.minutes} minutes the first time)"):
        tools = toolchain.ensure(wanted.release)
    with step(f"images of {wanted.title}"):
        push_images(wanted.ensure_images(tools))


def down(options: argparse.Namespace) -> None:
    """Remove the whole lab and restore the host; with --purge, remove the caches too."""
    with step("removing the lab"):
        services.stop_all()
        cameras.remove()
        fleet.remove_all()
        network.remove()
        network.restore_sysctls()
        stack.forget()
    if options.purge:
        _purge()


def status(_options: argparse.Namespace) -> int:
    """Print the state of every part; exit with 1 if one is not ready."""
    from lab.unschedulable import unschedulable_advice

    parts = [(m.name, str(m.address), fleet.status(m)) for m in machines()]
    parts.append((cameras.NAME, f"{CAMERAS_ADDRESS}:{CAMERAS_PORT}", cameras.status()))
    parts += [(s.name, s.url, services.status(s)) for s in services.services()]
    for name, address, state in parts:
        print(f"{name:<10} {address:<32} {state}")
    for each in machines():
        if until := fleet.certificates_until(each):
            print(f"{each.name:<10} {'certificates':<32} until {until}")
    if advice := unschedulable_advice():
        print(f"{'pods':<10} {advice}")
    return 0 if all(state == "ready" for *_, state in parts) else 1


def shell(options: argparse.Namespace) -> int:
    """Open a shell on a machine, or run a command there."""
    command = ssh.command(machine(options.host), *_rest(options.arguments))
    os.execvp(command[0], command)


def kubeconfig(_options: argparse.Namespace) -> None:
    """Print the path of a fresh kubeconfig."""
    print(stack.kubeconfig())


def pulumi(options: argparse.Namespace) -> int:
    """Run Pulumi on the lab's stack; an update shows progress, or with --whole its whole output."""
    return stack.pulumi(_rest(options.arguments), whole=options.whole)


def output(options: argparse.Namespace) -> None:
    """Print one of the stack's outputs."""
    value = stack.output(options.name)
    if value is None:
        raise LabError(f"the stack has no output {options.name!r} yet; run `make up`")
    print(value)


def kill(options: argparse.Namespace) -> None:
    """Stop a machine as a power cut does."""
    if options.host == cameras.NAME:
        cameras.kill()
    else:
        fleet.kill(machine(options.host))


def start(options: argparse.Namespace) -> None:
    """Start a stopped machine."""
    if options.host == cameras.NAME:
        cameras.start()
    else:
        fleet.start(machine(options.host))


def _rest(arguments: list[str]) -> list[str]:
    """The arguments after `--`, which some Python versions' argparse does not remove."""
    return arguments[1:] if arguments[:1] == ["--"] else arguments


def _clear_leftovers() -> None:
    """Remove machines and state if the machines are not those that the stack's state describes."""
    outdated = fleet.outdated(machines())
    if outdated:
        names = ", ".join(machine.name for machine in outdated)
        say(f"the lab's recipe has changed since {names} was made: removing all machines and the stack's state")
        fleet.remove_all()
    if not fleet.any_exists():
        stack.forget()


def _purge() -> None:
    for reference in podman("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        if reference.startswith((f"{REGISTRY}/", f"{image.REPOSITORY}:", f"{cameras.REPOSITORY}:")):
            podman("rmi", "--force", reference)
    for folder in (CACHE, STATE):
        say(f"removing {folder}")
        shutil.rmtree(folder, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int | None]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=(run.__doc__ or "").splitlines()[0], description=run.__doc__)
        command.set_defaults(run=run)
        return command

    add("up", up)
    add("machines-up", machines_up)
    add("services-up", services_up)
    add("go", go)
    add("previous", previous)
    add("keda", keda)
    add("vpa", vpa)
    add("kube-router", kube_router)
    add("down", down).add_argument("--purge", action="store_true", help="remove the caches and the key as well")
    add("status", status)
    host = add("ssh", shell)
    host.add_argument("host")
    host.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    add("kubeconfig", kubeconfig)
    engine = add("pulumi", pulumi)
    engine.add_argument("--whole", action="store_true", help="print all that Pulumi prints, as it comes")
    engine.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- ARGUMENTS")
    add("output", output).add_argument("name")
    add("kill", kill).add_argument("host")
    add("start", start).add_argument("host")
    return parser


if __name__ == "__main__":
    sys.exit(main())
