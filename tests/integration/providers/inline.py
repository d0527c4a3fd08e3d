"""The whole program in this process, for an engine that runs as usual.

Python starts, and the SDK is imported, once for all previews: that is half of what a preview costs.
"""

import gc
import runpy
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc
from pulumi.runtime.settings import SETTINGS

from components.recorder import ROOT_TYPE, Registered, registered
from tests.unit.components.conftest import ROOT


class Program:
    """The program as an engine's language host runs it."""

    def __init__(self) -> None:
        self.resources: list[Registered] = []
        """What the last run registered; in a preview what is not known yet is an `Unknown`."""

    def __call__(self) -> None:
        """Run the program, within a stack that the SDK has set up."""
        self.resources.clear()
        SETTINGS.monitor = _Tapped(SETTINGS.monitor, self.resources)
        # The program leaves no garbage to search for (components/engine.py), but the run before is some now.
        gc.collect()
        try:
            runpy.run_path(str(ROOT / "__main__.py"))
        finally:
            gc.enable()


class _Tapped:
    """The engine's resource monitor; what is registered is kept."""

    def __init__(self, monitor: Any, into: list[Registered]) -> None:
        self._monitor, self._into = monitor, into

    def __getattr__(self, name: str) -> Any:
        return getattr(self._monitor, name)

    def RegisterResource(self, request: Any) -> Any:
        response = self._monitor.RegisterResource(request)
        if request.type != ROOT_TYPE:
            self._into.append(registered(request, response.urn))
        return response


@contextmanager
def language_host(program: Program) -> Iterator[str]:
    """Serve the program; yields the address for `pulumi --client`."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(program), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
