"""The plugins' stand-ins as they preview, taken for what they do: so `pulumi up` writes the state of a complete update,
and there is no machine and no cluster."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2

Answers = Callable[[str, str, dict[str, Any]], Mapping[str, str]]
"""What a resource's outputs are that no preview knows, by its type, name and inputs."""

_SERVICE = "/pulumirpc.ResourceProvider/"
_TOUCHES = frozenset({"Update", "Delete", "Read", "Invoke", "Call", "Construct"})
"""What would reach machines or a cluster; a first update does none of it."""
_WIDE = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_CALL_SECONDS = 60


@contextmanager
def foreseeing(plugin: Path, answers: Answers) -> Iterator[int]:
    """Run a plugin whose creations are what it foresees, with `answers` for what it does not know. Yields its port."""
    process = subprocess.Popen([plugin], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}", options=_WIDE) as channel:
            threads = futures.ThreadPoolExecutor(16)
            server = grpc.server(threads, handlers=[_Plugin(channel, answers)], options=_WIDE)
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            try:
                yield port
            finally:
                server.stop(None).wait()
    finally:
        process.terminate()
        process.wait()


class _Plugin(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Hands all calls to the plugin, but makes previews of creations."""

    def __init__(self, channel: grpc.Channel, answers: Answers) -> None:
        self._channel, self._answers = channel, answers

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler of a call."""
        name = details.method.removeprefix(_SERVICE)
        if name in _TOUCHES:
            return None
        if name == "Create":
            return grpc.unary_unary_rpc_method_handler(
                self._create,
                request_deserializer=provider_pb2.CreateRequest.FromString,
                response_serializer=provider_pb2.CreateResponse.SerializeToString,
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._forward(details.method, request, context)
        )

    def _forward(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            answer: bytes = self._channel.unary_unary(method)(request, timeout=_CALL_SECONDS)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        return answer

    def _create(
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        request.preview = True
        answer = self._forward(f"{_SERVICE}Create", request.SerializeToString(), context)
        made = provider_pb2.CreateResponse.FromString(answer)
        *_, qualified, name = request.urn.split("::")
        inputs = _plain(MessageToDict(request.properties))
        _fill(made.properties, self._answers(qualified.rpartition("$")[2], name, inputs))
        made.id = made.id or name
        return made


def _fill(properties: struct_pb2.Struct, answers: Mapping[str, str]) -> None:
    """Give each unknown property its answer, and take it out where there is none."""
    for key, value in list(properties.fields.items()):
        if value.string_value == rpc.UNKNOWN:
            if key in answers:
                value.string_value = answers[key]
            else:
                del properties.fields[key]
        elif value.HasField("struct_value"):
            inner = value.struct_value
            # The value of a secret has its property's answer.
            _fill(inner, {"value": answers[key]} if _SIGNED in inner.fields and key in answers else answers)


_SIGNED = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi's wire format marks secrets and other special values."""


def _plain(value: Any) -> Any:
    """The value without the marks of secrets."""
    if isinstance(value, dict):
        return _plain(value["value"]) if _SIGNED in value else {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
