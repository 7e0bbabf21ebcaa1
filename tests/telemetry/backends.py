"""Real backends, each a process of its own on free ports with its data in a directory: Phoenix (spans by gRPC and
HTTP), MLflow (spans by HTTP), VictoriaMetrics (metrics by HTTP), Prometheus (scrapes), Rotel (a collector: both, by
both)."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

BIN = Path(sys.executable).parent
PROMETHEUS = os.environ.get("EGRET_PROMETHEUS", "prometheus")
PROMTOOL = Path(PROMETHEUS).with_name("promtool")
VICTORIA = os.environ.get("EGRET_VICTORIA_METRICS", "victoria-metrics")
# The backends' own telemetry stays off.
QUIET = {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "PHOENIX_TELEMETRY_ENABLED": "false"}
# Nobody's OTEL_* from outside takes part.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "EGRET_"))}


def free_port():
    """For programs that cannot pick one themselves."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ask(url, body=None, timeout=10):
    """The JSON that a URL answers, POSTing a body if there is one."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.loads(answer.read() or b"null")


def eventually(look, seconds=30):
    """Looks until there is something, and gives the last that there was. A refused question is nothing."""
    until = time.monotonic() + seconds
    while True:
        try:
            found = look()
        except (urllib.error.URLError, ConnectionError, TimeoutError, json.JSONDecodeError):
            found = None
        if found or time.monotonic() > until:
            return found
        time.sleep(0.1)


class Backend:
    """A process that is asked to end when the suite does."""

    def __init__(self, directory, *command, environment=()):
        directory.mkdir(parents=True, exist_ok=True)
        self.name = type(self).__name__
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, cwd=directory,
                env={**CLEAN, **QUIET, **dict(environment)}, start_new_session=True)

    def ready(self, url, seconds=120):
        def answers():
            assert self.process.poll() is None, f"{self.name} ended: {self.said()}"
            with urllib.request.urlopen(url, timeout=2):
                return True

        assert eventually(answers, seconds), f"{self.name} is not ready: {self.said()}"

    def said(self):
        return self.log.read_text(errors="replace")[-3000:]

    def close(self):
        # The group: MLflow's server is a parent of others.
        for end in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, end)
                self.process.wait(timeout=10)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                pass


class Phoenix(Backend):
    def __init__(self, directory):
        self.port, self.grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(directory, BIN / "phoenix", "serve", environment={
            "PHOENIX_WORKING_DIR": str(directory), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(self.grpc_port)})

    def environment(self, protocol):
        """What leads egret to it."""
        port = self.grpc_port if protocol == "grpc" else self.port
        path = "" if protocol == "grpc" else "/v1/traces"
        return {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{port}{path}",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": protocol}

    def await_ready(self):
        self.ready(f"{self.url}/healthz")

    def trace(self, trace, count):
        """The spans of a trace as Phoenix tells them, once there are so many."""
        def found():
            spans = ask(f"{self.url}/v1/projects/default/spans?limit=1000")["data"]
            spans = [span for span in spans if span["context"]["trace_id"] == trace]
            return spans if len(spans) >= count else None

        spans = eventually(found)
        assert spans, f"Phoenix has not {count} spans of {trace}: {self.said()}"
        return spans


class Mlflow(Backend):
    """Keeps what it is sent in an experiment, which a header names."""

    def __init__(self, directory):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            directory, BIN / "mlflow", "server", "--host", "127.0.0.1", "--port", self.port, "--workers", 1,
            "--backend-store-uri", f"sqlite:///{directory}/mlflow.db",
            "--artifacts-destination", directory / "artifacts",
            environment={"PATH": f"{BIN}:{os.environ['PATH']}"})

    def environment(self, protocol="http/protobuf"):
        return {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{self.url}/v1/traces",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": protocol,
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"x-mlflow-experiment-id={self.experiment}"}

    def await_ready(self):
        self.ready(f"{self.url}/health")
        made = ask(f"{self.url}/api/2.0/mlflow/experiments/create", {"name": "egret"})
        self.experiment = made["experiment_id"]
        # It sets its store up at the first spans, and takes ten seconds for it.
        self._first()

    def _first(self):
        request = urllib.request.Request(
            f"{self.url}/v1/traces", one_span(),
            {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": self.experiment})
        with urllib.request.urlopen(request, timeout=60):
            pass

    def trace(self, trace, count):
        def found():
            got = ask(f"{self.url}/api/3.0/mlflow/traces/get?trace_id=tr-{trace}")["trace"]
            return got if len(got.get("spans", [])) >= count else None

        got = eventually(found)
        assert got, f"MLflow has not {count} spans of {trace}: {self.said()}"
        return got


def one_span():
    """A request with a span, as bytes."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=os.urandom(16), span_id=os.urandom(8), name="first", start_time_unix_nano=1, end_time_unix_nano=2)
    return request.SerializeToString()


class Prometheus(Backend):
    """Scrapes egret."""

    def __init__(self, directory, target):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / "prometheus.yaml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "egret", "static_configs": [{"targets": [target]}]}]}))
        super().__init__(
            directory, PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}")

    def await_ready(self):
        self.ready(f"{self.url}/-/ready")

    def query(self, expression):
        asked = urllib.parse.urlencode({"query": expression})
        return ask(f"{self.url}/api/v1/query?{asked}")["data"]["result"]


class VictoriaMetrics(Backend):
    """Takes metrics by OTLP over HTTP, under the names that Prometheus gives them."""

    def __init__(self, directory):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            directory, VICTORIA, f"-httpListenAddr=127.0.0.1:{self.port}", f"-storageDataPath={directory}/data",
            "-opentelemetry.usePrometheusNaming", "-search.latencyOffset=0s")

    def environment(self):
        return {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{self.url}/opentelemetry/v1/metrics"}

    def await_ready(self):
        self.ready(f"{self.url}/health")

    def query(self, expression):
        # What came is shown only once it is flushed.
        with urllib.request.urlopen(f"{self.url}/internal/force_flush", timeout=10):
            pass
        asked = urllib.parse.urlencode({"query": expression, "nocache": "1"})
        return ask(f"{self.url}/api/v1/query?{asked}")["data"]["result"]

    def names(self):
        return sorted({one["metric"]["__name__"] for one in self.query('{__name__!=""}')})


class Rotel(Backend):
    """A collector: takes OTLP by gRPC and by HTTP, and passes it on by gRPC."""

    def __init__(self, directory, to):
        self.ports = {"grpc": free_port(), "http/protobuf": free_port()}
        import rotel

        super().__init__(
            directory, Path(rotel.__file__).with_name("rotel-agent"), "start",
            "--otlp-grpc-endpoint", f"127.0.0.1:{self.ports['grpc']}",
            "--otlp-http-endpoint", f"127.0.0.1:{self.ports['http/protobuf']}",
            "--exporter", "otlp", "--otlp-exporter-endpoint", to, "--otlp-exporter-protocol", "grpc",
            "--pid-file", directory / "pid", "--log-file", directory / "rotel.log")

    def environment(self, protocol):
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.ports[protocol]}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}

    def await_ready(self):
        def listens():
            with socket.create_connection(("127.0.0.1", self.ports["grpc"]), timeout=1):
                return True

        assert eventually(listens), f"Rotel is not ready: {self.said()}"
