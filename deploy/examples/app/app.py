"""Asks an LLM a question every few seconds and prints the answer as it comes, until SIGTERM.

Nothing here knows of egret: OPENAI_BASE_URL and OPENAI_API_KEY in the environment lead the SDK to it. With
OTEL_EXPORTER_OTLP_ENDPOINT set, each question is a span, and what becomes of it further on is under that span.
"""

import os
import signal
import threading

from openai import DefaultHttpxClient, OpenAI, OpenAIError
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
tracer = trace.get_tracer("app")

# Every request says which span it belongs to.
traced = DefaultHttpxClient(event_hooks={"request": [lambda request: propagate.inject(request.headers)]})
client = OpenAI(http_client=traced)
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())

while not ended.is_set():
    with tracer.start_as_current_span("ask about the tide"):
        try:
            stream = client.chat.completions.create(
                model=os.environ.get("MODEL", "chat"),
                messages=[{"role": "user", "content": "Is the tide high?"}],
                stream=True,
            )
            for chunk in stream:
                if chunk.choices:
                    print(chunk.choices[0].delta.content or "", end="", flush=True)
            print(flush=True)
        except OpenAIError as error:
            print(f"no answer: {error}", flush=True)
    ended.wait(2)
