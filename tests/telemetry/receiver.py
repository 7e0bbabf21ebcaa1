"""An OTLP receiver over HTTP and gRPC, of this project, on the official schema.

The message types are those of `opentelemetry-proto`, the gRPC server is `grpcio`. It keeps every byte it was sent, so
that a test can look for what must not be in it, and it can be told to fail as backends do. The real backends are in
backends.py.
"""

import gzip
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service

KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
STATUSES = {0: "unset", 1: "ok", 2: "error"}

# What it may do with a request.
TAKE, HANG, BUSY, REJECT = "take", "hang", "busy", "reject"


@dataclass
class Event:
    name: str
    attributes: dict
    at: float


@dataclass
class Span:
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    trace_state: str
    status: str
    attributes: dict
    events: list
    links: list
    start: float
    end: float
    resource: dict
    scope: str

    @property
    def seconds(self):
        return self.end - self.start

    def event(self, name):
        [event] = [event for event in self.events if event.name == name]
        return event


@dataclass
class Metric:
    name: str
    kind: str
    unit: str
    # A point is (attributes, value); the value of a histogram is (count, sum, bounds).
    points: list
    resource: dict

    def value(self, wanted=()):
        """The sum of the points that have these attributes; of a histogram, how many were recorded."""
        wanted = dict(wanted).items()
        found = [value for attributes, value in self.points if wanted <= attributes.items()]
        return sum(value[0] if isinstance(value, tuple) else value for value in found)


class Receiver:
    """Listens from the start on both ports; `behaviour` may be changed at any time."""

    def __init__(self):
        self.behaviour = TAKE
        self.spans = []
        self.metrics = {}
        self.bodies = []
        self.headers = []
        self.requests = 0
        self.changed = threading.Condition()
        self.ended = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        self.grpc = grpc.server(ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
        self.grpc.add_generic_rpc_handlers([
            self._service(trace_service, "trace", "TraceService", trace_service.ExportTraceServiceResponse),
            self._service(metrics_service, "metrics", "MetricsService", metrics_service.ExportMetricsServiceResponse),
        ])
        self.grpc_port = self.grpc.add_insecure_port("127.0.0.1:0")
        self.grpc.start()

    def address(self, protocol):
        port = self.grpc_port if protocol == "grpc" else self.http.server_address[1]
        return f"http://127.0.0.1:{port}"

    def close(self):
        self.ended.set()
        self.grpc.stop(grace=None)
        self.http.shutdown()
        self.http.server_close()

    def wait(self, ask, seconds=10):
        """Waits until `ask` gives something true, and gives the last that it gave."""
        until = time.monotonic() + seconds
        with self.changed:
            while not (found := ask()) and (left := until - time.monotonic()) > 0:
                self.changed.wait(left)
        return found

    def trace(self, trace, count, seconds=10):
        """The spans of a trace in the order in which they began, once there are so many."""
        def found():
            spans = [span for span in self.spans if span.trace == trace]
            return spans if len(spans) >= count else []

        spans = self.wait(found, seconds) or [span for span in self.spans if span.trace == trace]
        assert len(spans) == count, f"{len(spans)} spans of {trace}, not {count}: {spans}"
        return sorted(spans, key=lambda span: (span.start, span.kind != "SERVER"))

    def metric(self, name, good=lambda metric: True, seconds=10):
        """The newest of a metric, once it is good."""
        def found():
            metric = self.metrics.get(name)
            return metric if metric is not None and good(metric) else None

        metric = self.wait(found, seconds)
        assert metric is not None, f"{name}: {self.metrics.get(name)}; there are {sorted(self.metrics)}"
        return metric

    def received(self):
        """Every byte of every body and header."""
        with self.changed:
            return b"\n".join([*self.bodies, *(str(headers).encode() for headers in self.headers)])

    # What came in.

    def _take(self, path, body, headers):
        with self.changed:
            self.bodies.append(body)
            self.headers.append(headers)
            if "trace" in path:
                request = trace_service.ExportTraceServiceRequest.FromString(body)
                self.spans.extend(spans_of(request))
            else:
                request = metrics_service.ExportMetricsServiceRequest.FromString(body)
                self.metrics.update((metric.name, metric) for metric in metrics_of(request))
            self.changed.notify_all()

    def _counted(self):
        with self.changed:
            self.requests += 1
            self.changed.notify_all()
        return self.behaviour

    def _handler(receiver):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                behaviour = receiver._counted()
                if behaviour == HANG:
                    receiver.ended.wait()
                    self.close_connection = True
                    return
                status = {TAKE: 200, BUSY: 503, REJECT: 400}[behaviour]
                if behaviour == TAKE:
                    receiver._take(self.path, body, dict(self.headers))
                self.send_response(status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler

    def _service(self, module, package, name, response):
        def export(body, context):
            behaviour = self._counted()
            if behaviour == HANG:
                self.ended.wait()
            if behaviour != TAKE:
                code = grpc.StatusCode.INVALID_ARGUMENT if behaviour == REJECT else grpc.StatusCode.UNAVAILABLE
                context.abort(code, "told to")
            self._take(package, body, dict(context.invocation_metadata()))
            return response()

        # The request stays bytes here: what came is what is looked at.
        method = grpc.unary_unary_rpc_method_handler(export, None, response.SerializeToString)
        return grpc.method_handlers_generic_handler(
            f"opentelemetry.proto.collector.{package}.v1.{name}", {"Export": method})


def spans_of(request):
    for group in request.resource_spans:
        resource = attributes_of(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield Span(
                    name=span.name,
                    kind=KINDS[span.kind],
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    trace_state=span.trace_state,
                    status=STATUSES[span.status.code],
                    attributes=attributes_of(span.attributes),
                    events=[
                        Event(event.name, attributes_of(event.attributes), event.time_unix_nano / 1e9)
                        for event in span.events
                    ],
                    links=[link.span_id.hex() for link in span.links],
                    start=span.start_time_unix_nano / 1e9,
                    end=span.end_time_unix_nano / 1e9,
                    resource=resource,
                    scope=scope.scope.name,
                )


def metrics_of(request):
    for group in request.resource_metrics:
        resource = attributes_of(group.resource.attributes)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                points = [
                    (attributes_of(point.attributes), value_of(point, kind))
                    for point in getattr(metric, kind).data_points
                ]
                yield Metric(metric.name, kind, metric.unit, points, resource)


def value_of(point, kind):
    if kind == "histogram":
        return point.count, point.sum, tuple(point.explicit_bounds)
    return getattr(point, point.WhichOneof("value"))


def attributes_of(pairs):
    return {pair.key: plain(pair.value) for pair in pairs}


def plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
