"""Runs egret for the whole suite: started before the first test, ended by SIGTERM after the last."""

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from openai import AsyncOpenAI, OpenAI

ROOT = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("EGRET_BIN", str(ROOT / "target/debug/egret"))
READY = re.compile(r'listen"?\s*[=:]\s*"?([0-9.]+:\d+)')

ADMIN = re.compile(r'admin"?\s*[=:]\s*"?([0-9.]+:\d+)')

MAIN_KEY = "egret_sdk_main"
# Stands in prompts; must stand in no log.
CANARY = "canary-8f1b2c"


class Egret:
    """A running egret and what it wrote."""

    def __init__(self, directory, policy=ROOT / "tests/sdk/policy.yaml"):
        self.access_log = directory / "access.log"
        self.lines = []
        self.ready = threading.Event()
        self.base_url = self.admin_url = None
        with self.access_log.open("wb") as access_log:
            self.process = subprocess.Popen(
                [BINARY, "run", "--policy", str(policy),
                 "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
                stdout=access_log, stderr=subprocess.PIPE, text=True,
            )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.ready.wait(timeout=30)
        if self.base_url is None:
            self.process.kill()
            raise AssertionError("egret did not get ready:\n" + "".join(self.lines))

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            found = READY.search(line)
            if found and self.base_url is None:
                self.admin_url = f"http://{ADMIN.search(line)[1]}"
                self.base_url = f"http://{found[1]}/v1"
                self.ready.set()
        self.ready.set()

    def stop(self):
        """Asks it to end and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("egret was still there 30 s after SIGTERM:\n" + "".join(self.lines)) from None

    def written(self):
        return self.access_log.read_text() + "".join(self.lines)


@pytest.fixture(scope="session")
def egret(tmp_path_factory):
    egret = Egret(tmp_path_factory.mktemp("egret"))
    yield egret
    code = egret.stop()
    egret.reader.join(timeout=5)
    assert code == 0, "".join(egret.lines)
    written = egret.written()
    assert CANARY not in written, "a prompt is in a log"
    assert "egret_sdk_" not in written, "a caller's key is in a log"


@pytest.fixture
def make(egret):
    """Makes a client; without retries, so that each call is one request."""

    def client(key=MAIN_KEY, kind=OpenAI, **options):
        return kind(api_key=key, base_url=egret.base_url, max_retries=0, timeout=20, **options)

    return client


@pytest.fixture
def client(make):
    return make()


@pytest.fixture
def async_client(make):
    return make(kind=AsyncOpenAI)


@pytest.fixture(scope="session")
def dialects(tmp_path_factory):
    """An egret before scripted providers of every dialect."""
    egret = Egret(tmp_path_factory.mktemp("dialects"), ROOT / "tests/sdk/dialects.yaml")
    yield egret
    code = egret.stop()
    egret.reader.join(timeout=5)
    assert code == 0, "".join(egret.lines)
    written = egret.written()
    assert CANARY not in written, "a prompt is in a log"
    assert "egret_sdk_" not in written, "a caller's key is in a log"
