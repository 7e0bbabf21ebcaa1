"""egret between an app that is traced by OpenTelemetry and the backends that receive what egret exports.

The app is this process, with the official SDKs of OpenAI and OpenTelemetry.
"""

import json
import os
import re
import signal
import subprocess
import threading
import urllib.request
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from backends import CLEAN, Mlflow, Phoenix
from openai import DefaultHttpxClient, OpenAI
from opentelemetry import propagate
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from receiver import Receiver

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("EGRET_BIN", str(ROOT / "target/debug/egret"))
POLICY = ROOT / "tests/telemetry/policy.yaml"
READY = re.compile(r"egret is ready: listen=(\S+) admin=(\S+)")

# None of these may reach a backend.
QUESTION = "canary-question-5d1f"
ANSWER = "canary-answer-93ab"
CALLER_KEY = "egret_canary_caller_key"
LIMITED_KEY = "egret_canary_limited_key"
PROVIDER_KEY = "sk-canary-provider-key"
SECRETS = [QUESTION, ANSWER, CALLER_KEY, LIMITED_KEY, PROVIDER_KEY]

ASK = [{"role": "user", "content": f"What does the tide do? {QUESTION}"}]
# So that nothing waits for the defaults of five and sixty seconds.
PROMPT = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "200"}
RESOURCE = "k8s.pod.name=tide-7f9c,deployment.environment.name=test"


class Egret:
    """A running egret."""

    def __init__(self, directory, environment=(), policy=None, arguments=()):
        self.lines = []
        self.ready = threading.Event()
        self.base_url = None
        self.access_log = directory / "access.log"
        with self.access_log.open("ab") as access_log:
            self.process = subprocess.Popen(
                [BINARY, "run", "--policy", str(policy),
                 "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *arguments],
                stdout=access_log, stderr=subprocess.PIPE, text=True,
                env={**CLEAN, "CANARY_PROVIDER_KEY": PROVIDER_KEY, **PROMPT, "OTEL_RESOURCE_ATTRIBUTES": RESOURCE,
                     **dict(environment)})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.ready.wait(timeout=30)
        if self.base_url is None:
            self.process.kill()
            raise AssertionError("egret did not get ready:\n" + "".join(self.lines))

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if found := READY.search(line):
                self.base_url, self.admin = f"http://{found[1]}/v1", found[2]
                self.ready.set()
        self.ready.set()

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as page:
            return page.read().decode()

    def metric(self, name):
        """The sum of a metric's samples at `/metrics`."""
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.metrics(), re.M)
        return sum(map(float, found)) if found else None

    def resident(self):
        """Bytes of memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1]) * 1024

    def said(self):
        return "".join(self.lines)

    def calls(self):
        """The lines of the access log."""
        return [json.loads(line) for line in self.access_log.read_text().splitlines()]

    def stop(self, seconds=30):
        """Asks it to end and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"egret was still there {seconds} s after SIGTERM:\n{self.said()}") from None


@contextmanager
def running(directory, environment=(), **options):
    directory.mkdir(parents=True, exist_ok=True)
    egret = Egret(directory, environment, **options)
    try:
        yield egret
    finally:
        if egret.process.poll() is None:
            egret.process.kill()
            egret.process.wait()


class App:
    """Calls an egret with a span of its own around the calls."""

    def __init__(self):
        self.provider = TracerProvider(resource=Resource.create({"service.name": "app"}))
        self.tracer = self.provider.get_tracer("app")
        # The span that a trace began with.
        self.began = {}

    def client(self, egret, key=CALLER_KEY):
        # What an instrumentation of the HTTP client does: every request says which span it belongs to.
        http = DefaultHttpxClient(event_hooks={"request": [lambda request: propagate.inject(request.headers)]})
        return OpenAI(api_key=key, base_url=egret.base_url, max_retries=0, timeout=20, http_client=http)

    @contextmanager
    def span(self):
        """A span of the app; gives the id of its trace."""
        with self.tracer.start_as_current_span("answer a customer") as span:
            context = span.get_span_context()
            trace = format(context.trace_id, "032x")
            self.began[trace] = format(context.span_id, "016x")
            yield trace


@pytest.fixture(scope="session")
def app():
    return App()


@contextmanager
def receiving():
    """A receiver, in which no secret of the calls may be found in the end."""
    receiver = Receiver()
    try:
        yield receiver
        received = receiver.received()
    finally:
        receiver.close()
    leaks = [secret for secret in SECRETS if secret.encode() in received]
    assert not leaks, f"a backend received {leaks}"


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


def exporting(receiver, protocol):
    """The environment that leads egret to a receiver."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.address(protocol), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}


@pytest.fixture(scope="session")
def provider():
    """The scripted provider; gives its address."""
    says = f"{ANSWER} The tide comes in and the tide goes out, twice a day, as it has ever done."
    process = subprocess.Popen(
        [BINARY, "mock", "--listen", "127.0.0.1:0", "--says", says, "--tokens-per-second", "40"],
        stdout=subprocess.PIPE, text=True, env=CLEAN)
    yield re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())[0]
    process.terminate()
    process.wait()


class Recorder:
    """A provider that keeps the headers of what it is asked."""

    def __init__(self):
        self.headers = []
        recorder = self
        answer = json.dumps({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "tide-1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                recorder.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture(scope="session")
def recorder():
    recorder = Recorder()
    yield recorder
    recorder.server.shutdown()
    recorder.server.server_close()


@pytest.fixture(scope="session")
def policy(provider, recorder, tmp_path_factory):
    """The policy with the addresses that the providers got."""
    text = POLICY.read_text().replace("http://PROVIDER", f"http://{provider}")
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(text.replace("http://RECORDER", f"http://{recorder.address}"))
    return path


@pytest.fixture
def run(policy, tmp_path):
    """Starts an egret with an environment; it is ended with the test."""
    with ExitStack() as ends:
        yield lambda environment=(), **options: ends.enter_context(
            running(tmp_path, environment, **{"policy": policy, **options}))


# The slow backends take half a minute to get ready: they begin with the suite, side by side with the first tests.
SLOW = {"phoenix": Phoenix, "mlflow": Mlflow}


@pytest.fixture(scope="session", autouse=True)
def started(request, tmp_path_factory):
    """Those of the slow backends that some test will ask for."""
    wanted = {name for item in request.session.items for name in item.fixturenames}
    backends = {name: kind(tmp_path_factory.mktemp(name)) for name, kind in SLOW.items() if name in wanted}
    yield backends
    for backend in backends.values():
        backend.close()


@pytest.fixture(scope="session")
def phoenix(started):
    started["phoenix"].await_ready()
    return started["phoenix"]


@pytest.fixture(scope="session")
def mlflow(started):
    started["mlflow"].await_ready()
    return started["mlflow"]
