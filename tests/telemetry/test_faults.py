"""What a backend that is away, hangs or refuses does to calls: nothing; to memory: a bound; to spans: they are dropped
and counted."""

import http.client
import json
import socket
import threading
import time
from collections import Counter

import pytest
from backends import free_port
from conftest import ANSWER, ASK, CALLER_KEY, exporting
from receiver import BUSY, HANG, REJECT, TAKE

# Small, so that it is full at once.
ROOM = 256
QUEUE = {"OTEL_BSP_MAX_QUEUE_SIZE": str(ROOM), "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64"}
BODY = json.dumps({"model": "quick", "messages": ASK}).encode()
HEADERS = {"content-type": "application/json", "authorization": f"Bearer {CALLER_KEY}"}
CONNECTIONS = 4
CALLS = 2000


def load(egret, calls):
    """Makes so many calls on a few connections. Gives the statuses and the longest time of a call."""
    host, port = egret.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    statuses, longest = Counter(), [0.0]

    def caller():
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        for _ in range(calls // CONNECTIONS):
            begun = time.monotonic()
            connection.request("POST", "/v1/chat/completions", BODY, HEADERS)
            answer = connection.getresponse()
            good = ANSWER.encode() in answer.read()
            statuses[answer.status, good] += 1
            longest[0] = max(longest[0], time.monotonic() - begun)
        connection.close()

    callers = [threading.Thread(target=caller) for _ in range(CONNECTIONS)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    return statuses, longest[0]


def fault(name, receiver):
    """The environment of a fault, by its name."""
    if name == "away":
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    behaviour, protocol = {
        "hangs": (HANG, "http/protobuf"), "hangs-grpc": (HANG, "grpc"), "busy": (BUSY, "http/protobuf"),
        "unavailable-grpc": (BUSY, "grpc"), "rejects": (REJECT, "http/protobuf"), "rejects-grpc": (REJECT, "grpc"),
    }[name]
    receiver.behaviour = behaviour
    return exporting(receiver, protocol)


FAULTS = ["away", "hangs", "hangs-grpc", "busy", "unavailable-grpc", "rejects", "rejects-grpc"]


@pytest.mark.parametrize("name", FAULTS)
def test_peer_bug_17_calls_do_not_notice_memory_is_bounded_and_drops_are_counted(run, receiver, name):
    egret = run({**fault(name, receiver), **QUEUE})
    # The first calls grow what is grown once, with or without export.
    load(egret, CALLS)
    before = egret.resident()
    statuses, longest = load(egret, CALLS)
    grown = egret.resident() - before

    assert statuses == {(200, True): CALLS}
    # An export gives up after ten seconds; a call that waited for one would show.
    assert longest < 3
    # Two spans a call, kept, would be more: each is some hundred bytes.
    assert grown < 1 << 20, f"{grown >> 10} KiB more"
    lost = egret.metric("egret_spans_dropped_total") + egret.metric("egret_spans_failed_total")
    # Two spans for each of both rounds; what is not lost waits, or is under way.
    assert 4 * CALLS - ROOM <= lost <= 4 * CALLS
    assert egret.metric("egret_spans_exported_total") == 0
    begun = time.monotonic()
    assert egret.stop() == 0
    assert time.monotonic() - begun < 12
    # Not for every batch.
    assert len(egret.lines) < 20, egret.said()


def test_a_backend_that_comes_back_is_sent_what_is_new(run, receiver):
    receiver.behaviour = REJECT
    egret = run(exporting(receiver, "http/protobuf"))
    load(egret, 40)
    receiver.wait(lambda: receiver.requests > 0)
    receiver.behaviour = TAKE
    load(egret, 40)

    assert receiver.wait(lambda: len(receiver.spans) >= 80)
    # Said once, when the first did not arrive.
    assert len([line for line in egret.lines if "spans not exported" in line]) == 1


def test_a_backend_that_is_busy_for_a_moment_loses_nothing(run, receiver):
    receiver.behaviour = BUSY
    egret = run(exporting(receiver, "http/protobuf"))
    load(egret, 40)
    receiver.wait(lambda: receiver.requests > 0)
    receiver.behaviour = TAKE

    assert receiver.wait(lambda: len(receiver.spans) == 80, seconds=15), len(receiver.spans)
    assert egret.metric("egret_spans_dropped_total") == egret.metric("egret_spans_failed_total") == 0


def test_a_port_that_accepts_and_never_answers_does_not_hold_up_the_end(run):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        egret = run({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"},
                    arguments=["--drain", "gateway", "--drain-grace", "0s"])
        load(egret, 40)
        begun = time.monotonic()
        assert egret.stop() == 0
        # Within what Kubernetes gives: the drain and five seconds.
        assert time.monotonic() - begun < 8
