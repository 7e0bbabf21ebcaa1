"""Takes deploy/trace.png: a call that fell back, as Phoenix shows it.

    target/tests/telemetry/bin/python tests/telemetry/picture.py [FILE]

Not part of the test command: it needs Debian's `chromium`, and what it gives is for eyes. Needs what the part
`telemetry` of tests/run has installed.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from backends import Phoenix, ask
from conftest import ASK, ROOT, App, running
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

POLICY = """
apiVersion: egret.dev/v1alpha1
kind: Policy
allowMock: true
providers:
  openai: { mock: { latency: 180ms, faults: [{ status: { code: 503 } }] } }
  groq:   { mock: { latency: 60ms, tokensPerSecond: 60, says: "Not yet: the tide is high at noon." } }
models:
  gpt-4.1: { provider: openai, price: [{ inputPerMTok: "2.00", outputPerMTok: "8.00" }] }
  llama:   { provider: groq, name: llama-3.3-70b-versatile, price: [{ inputPerMTok: "0.59", outputPerMTok: "0.79" }] }
routes:
  chat: { targets: [{ model: gpt-4.1 }, { model: llama }] }
tenants:
  checkout: { local: true, access: { allow: [chat] }, limits: { rpm: { requests: 60, per: 1m } } }
"""


def main(file):
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        policy = directory / "policy.yaml"
        policy.write_text(POLICY)
        phoenix = Phoenix(directory / "phoenix")
        try:
            phoenix.await_ready()
            with running(directory / "egret", phoenix.environment("grpc"), policy=policy) as egret:
                trace = call(egret, phoenix)
                assert egret.stop() == 0
            spans = phoenix.trace(trace, 4)
            [answered] = [span for span in spans if span["name"].endswith("versatile")]
            project = ask(f"{phoenix.url}/v1/projects/default")["data"]["id"]
            page = f"{phoenix.url}/projects/{project}/traces/{trace}?selectedSpanNodeId={answered['id']}"
            photograph(page, file)
        finally:
            phoenix.close()


def call(egret, phoenix):
    """A streamed call of an app that sends its own span to the same place; gives the trace."""
    app = App()
    app.provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{phoenix.url}/v1/traces")))
    with app.span() as trace:
        list(app.client(egret, key="egret-local").chat.completions.create(
            model="chat", messages=ASK, stream=True, temperature=0.2, max_tokens=200))
    return trace


def photograph(url, file):
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-dark-mode=0",
             f"--user-data-dir={profile}", "--window-size=1440,860", "--virtual-time-budget=20000",
             f"--screenshot={file}", url],
            check=True, timeout=120, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "deploy/trace.png")
