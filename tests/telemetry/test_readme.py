"""The README's lines about traces, run as they stand there but for ports, the viewer's installation and the build."""

import re
import subprocess

from conftest import ROOT

README = (ROOT / "README.md").read_text()
TRACES = README.split("\n## Traces\n")[1].split("\n## ")[0]
VIEWER, EGRET = re.findall(r"```sh\n(.*?)\n```", TRACES, re.S)
[CALL] = [block for block in re.findall(r"```sh\n(.*?)\n```", README, re.S) if block.startswith("curl")]


def test_the_viewer_is_the_one_that_is_tested():
    package, command = re.fullmatch(r"PHOENIX_HOST=127.0.0.1 uvx --from (\S+) (.*)", VIEWER).groups()

    assert package in (ROOT / "tests/telemetry/requirements.in").read_text().splitlines()
    assert command == "phoenix serve"


def test_a_call_by_the_readmes_lines_is_a_trace_in_the_viewer(run, phoenix):
    variables, command = re.fullmatch(r"((?:OTEL_\S+=\S+ )+)cargo run --release -- (.*)", EGRET).groups()
    assert command == "run --policy policies/quickstart.yaml"
    environment = dict(one.split("=", 1) for one in variables.split())
    environment = {name: value.replace(":6006", f":{phoenix.port}") for name, value in environment.items()}
    egret = run(environment, policy=ROOT / "policies/quickstart.yaml")

    call = CALL.replace("http://127.0.0.1:4100", egret.base_url.removesuffix("/v1")).replace("curl ", "curl -sSi ", 1)
    answered = subprocess.run(["bash", "-c", call], capture_output=True, text=True, timeout=20, check=True).stdout
    [trace] = re.findall(r"^x-request-id: (\S+)", answered, re.M)
    names = {span["name"] for span in phoenix.trace(trace, 2)}

    assert '"chat.completion"' in answered
    assert names == {"POST /v1/chat/completions", "chat gpt-4.1"}
