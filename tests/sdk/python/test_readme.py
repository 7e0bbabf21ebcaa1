"""The README's snippets, run as they stand there but for the port and, for Node, the place of the SDK."""

import json
import re
import shutil
import subprocess
import sys
import time

import pytest
from conftest import BINARY, ROOT, Egret

README = (ROOT / "README.md").read_text()
PLACE = "http://127.0.0.1:4100"


def snippets(language, holding):
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.S)
    return [block for block in blocks if holding in block]


@pytest.fixture
def quickstart(tmp_path):
    policy = tmp_path / "quickstart.yaml"
    shutil.copy(ROOT / "policies/quickstart.yaml", policy)
    egret = Egret(tmp_path, policy)
    egret.policy = policy
    yield egret
    assert egret.stop() == 0


def run(command, egret, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, cwd=ROOT / "tests/sdk/node")
    assert done.returncode == 0, done.stderr
    return done.stdout


def at(egret, snippet):
    assert PLACE in snippet
    return snippet.replace(PLACE, egret.base_url.removesuffix("/v1"))


def test_the_curl_snippet_answers(quickstart):
    snippet, _ = snippets("sh", "curl")
    answer = json.loads(run(["bash", "-c", at(quickstart, snippet)], quickstart))
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"]


def test_the_budget_snippet_is_refused_at_the_fifth_call(tmp_path):
    _, snippet = snippets("sh", "curl")
    egret = Egret(tmp_path, ROOT / "policies/budget.yaml")
    admin = "http://127.0.0.1:4101"
    assert admin in snippet
    *calls, usage = run(["bash", "-c", at(egret, snippet).replace(admin, egret.admin_url)], egret).split("\n", 5)
    assert egret.stop() == 0
    calls = [json.loads(call) for call in calls]
    assert all(call["object"] == "chat.completion" for call in calls[:4])
    assert calls[4]["error"]["code"] == "insufficient_quota"
    assert {limit["limit"] for limit in json.loads(usage)["limits"]} == {"day", "tpm"}


def test_the_python_snippet_streams(quickstart):
    [snippet] = snippets("python", "OpenAI")
    assert len(run([sys.executable, "-"], quickstart, at(quickstart, snippet)).split()) > 3


def test_the_node_snippet_answers(quickstart):
    [snippet] = snippets("js", "OpenAI")
    assert len(run(["node", "--input-type=module", "-"], quickstart, at(quickstart, snippet)).split()) > 3


def test_the_policy_of_the_readme_is_a_good_one(tmp_path):
    [policy] = snippets("yaml", "kind: Policy\n")
    digest = "ab" * 32
    path = tmp_path / "policy.yaml"
    path.write_text(policy.replace("<64 hex digits from egret key>", digest))
    assert len(policy.splitlines()) <= 20
    assert ": good," in run([BINARY, "check", "--deny-warnings", str(path)], None)


def test_the_route_of_the_readme_is_a_good_one(tmp_path):
    [policy] = snippets("yaml", "kind: Policy\n")
    [route] = snippets("yaml", "onExhausted")
    path = tmp_path / "policy.yaml"
    attributes = "    plan: pro\n    attributes: { task: { header: x-egret-task } }\n"
    policy = policy.replace("<64 hex digits from egret key>", "ab" * 32).replace("    plan: pro\n", attributes)
    path.write_text(re.sub(r"^routes:\n.*\n", route, policy, flags=re.M))
    assert ": good," in run([BINARY, "check", "--deny-warnings", str(path)], None)


def test_the_real_key_is_one_line_away(quickstart):
    [line] = snippets("yaml", "OPENAI_API_KEY } }\n")[:1]
    text = quickstart.policy.read_text()
    edited = re.sub(r"^  openai: \{ mock.*$", line.rstrip(), text, flags=re.M)
    assert edited != text
    quickstart.policy.write_text(edited)
    assert ": good," in run([BINARY, "check", str(quickstart.policy)], None)


def test_an_edit_holds_within_two_seconds_and_a_fault_does_not(quickstart):
    from openai import APIStatusError, OpenAI

    client = OpenAI(base_url=quickstart.base_url, api_key="egret-local", max_retries=0)

    def allowed():
        try:
            client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "hi"}])
            return True
        except APIStatusError as error:
            assert error.code == "model_not_allowed"
            return False

    good = quickstart.policy.read_text()
    assert allowed()
    quickstart.policy.write_text(good.replace('allow: [chat, "gpt-*"]', 'allow: ["gpt-*"]'))
    deadline = time.monotonic() + 2
    while allowed():
        assert time.monotonic() < deadline, "the edit does not hold after two seconds"
        time.sleep(0.05)
    quickstart.policy.write_text("apiVersion: [")
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert not allowed(), "a broken policy changed what holds"
        time.sleep(0.1)
