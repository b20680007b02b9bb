"""A receiver of OTLP for tests, by gRPC and by HTTP, as a collector is one: the published protocol, on real sockets."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from tests.support.otlp_received import ReceivedLine, ReceivedSpan, _lines, _spans
from tests.support.waiting import wait_until

Protocol = Literal["grpc", "http/protobuf"]


@dataclass
class Receiver:
    """What came, and how the receiver behaves: it answers `status`, after it was let go if `held` is set."""

    endpoint: str = ""
    protocol: Protocol = "http/protobuf"
    status: int = 200
    #: Whether spans are read and kept; otherwise their bytes are only counted, in spans at least.
    keeps: bool = True
    taken: int = 0
    requests: list[bytes] = field(default_factory=list)
    lines: list[ReceivedLine] = field(default_factory=list)
    metrics: list[Any] = field(default_factory=list)
    spans: list[ReceivedSpan] = field(default_factory=list)
    #: Requests with metrics that are taken before the next ones are refused.
    refuse_after: int | None = None
    #: Paths and headers of requests by HTTP.
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    held: threading.Event | None = None
    arrived: threading.Event = field(default_factory=threading.Event)

    def take(self, body: bytes) -> int:
        self.arrived.set()
        if self.held is not None:
            self.held.wait(60)
        if not self.keeps:
            self.taken += body.count(b"messaging.operation.type")
        elif self.status == 200:
            self.requests.append(body)
            self.spans += list(_spans(ExportTraceServiceRequest.FromString(body)))
        return self.status

    def take_lines(self, body: bytes) -> int:
        if self.status == 200:
            self.requests.append(body)
            self.lines += _lines(ExportLogsServiceRequest.FromString(body))
        return self.status

    def take_metrics(self, body: bytes) -> int:
        self.arrived.set()
        if self.held is not None:
            self.held.wait(60)
        if self.refuse_after is not None:
            if self.refuse_after == 0:
                return 400
            self.refuse_after -= 1
        if self.status == 200:
            self.requests.append(body)
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        return self.status

    @property
    def environment(self) -> dict[str, str]:
        """What a process is told to send here, at once."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def named(self, name: str, *, message: object = None) -> list[ReceivedSpan]:
        """Spans of that name, of one job if `message` is its run; in the order in which they began."""
        wanted = str(message) if message is not None else None
        found = [
            one for one in list(self.spans)
            if one.name == name and wanted in {None, one.attributes.get("messaging.message.id")}
        ]  # fmt: skip
        return sorted(found, key=lambda one: one.start)

    def of_trace(self, trace: str) -> list[ReceivedSpan]:
        return sorted((one for one in list(self.spans) if one.trace == trace), key=lambda one: one.start)

    def wait_for(self, name: str, count: int = 1, *, message: object = None, timeout: float = 30) -> list[ReceivedSpan]:
        return wait_until(
            lambda: found if len(found := self.named(name, message=message)) >= count else None,
            timeout,
            f"{count} spans {name!r} of {message}",
        )


@contextmanager
def receiving(protocol: Protocol = "http/protobuf", port: int = 0, *, keeps: bool = True) -> Iterator[Receiver]:
    """A receiver on a port of this machine."""
    receiver = Receiver(protocol=protocol, keeps=keeps)
    with _over_grpc(receiver, port) if protocol == "grpc" else _over_http(receiver, port):
        yield receiver
        if receiver.held:
            receiver.held.set()


@contextmanager
def _over_grpc(receiver: Receiver, port: int) -> Iterator[None]:
    class Servicer(TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  (the protocol's name)
            if receiver.take(request.SerializeToString()) != 200:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
            return ExportTraceServiceResponse()

    class Lines(LogsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002  (the protocol's)
            receiver.take_lines(request.SerializeToString())
            return ExportLogsServiceResponse()

    class Figures(MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  (the protocol's name)
            if receiver.take_metrics(request.SerializeToString()) != 200:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
            return ExportMetricsServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(4))
    add_TraceServiceServicer_to_server(Servicer(), server)
    add_LogsServiceServicer_to_server(Lines(), server)
    add_MetricsServiceServicer_to_server(Figures(), server)
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    server.start()
    try:
        yield
    finally:
        server.stop(None)


@contextmanager
def _over_http(receiver: Receiver, port: int) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            # Vendors have them below paths of their own.
            match self.path.rpartition("/v1/")[2]:
                case "traces":
                    status = receiver.take(body)
                case "metrics":
                    status = receiver.take_metrics(body)
                case "logs":
                    status = receiver.take_lines(body)
                case _:
                    status = 404
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
