"""compose.yaml, by podman-compose: all of it, with images made here in place of those of a registry. Needs root."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rotel
import yaml
from conftest import ROOT
from containers import eventually, with_libraries

PROMETHEUS = Path(os.environ["EGRET_PROMETHEUS"])
ROTEL = Path(rotel.__file__).with_name("rotel-agent")
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
COLLECTOR = yaml.safe_load((ROOT / "deploy/compose/collector.yaml").read_text())


@pytest.fixture(scope="module")
def prometheus(containers, tmp_path_factory):
    """Debian's Prometheus under the name that compose.yaml asks for."""
    tree = tmp_path_factory.mktemp("prometheus")
    with_libraries(PROMETHEUS, tree / "bin/prometheus", tree)
    (tree / "tmp").mkdir()
    entrypoint = ["/bin/prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/data"]
    return containers.build_from(tree, full_name("prometheus"), json.dumps(entrypoint))


@pytest.fixture(scope="module")
def watchers(containers, tmp_path_factory):
    """Rotel under the names of the collector and of Jaeger. Both say in their logs what they are sent; the first passes
    spans on to the second, as collector.yaml has it."""
    tree = tmp_path_factory.mktemp("rotel")
    with_libraries(ROTEL, tree / "bin/rotel", tree)
    # It does not start without, though it needs none here.
    (tree / "etc/ssl/certs").mkdir(parents=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", tree / "etc/ssl/certs")
    (tree / "tmp").mkdir()
    start = ["/bin/rotel", "start", "--otlp-grpc-endpoint", "0.0.0.0:4317", "--otlp-http-endpoint", "0.0.0.0:4318",
             "--debug-log", "traces", "--debug-log", "metrics", "--debug-log-verbosity", "detailed"]
    jaeger = COLLECTOR["exporters"]["otlp_grpc/jaeger"]["endpoint"]
    passed_on = ["--exporter", "otlp", "--otlp-exporter-endpoint", f"http://{jaeger}"]
    containers.build_from(tree, full_name("jaeger"), json.dumps([*start, "--exporter", "blackhole"]))
    containers.build_from(tree, full_name("collector"), json.dumps([*start, *passed_on]))


def full_name(service):
    """The image that compose.yaml asks for, as podman looks it up."""
    return f"docker.io/{COMPOSE['services'][service]['image']}"


class Project:
    def __init__(self, containers, directory):
        self.containers = containers
        self.directory = directory
        self.policy = directory / "compose/policy/policy.yaml"

    def compose(self, *arguments, check=True):
        return self.containers.run(
            Path(sys.executable).with_name("podman-compose"), "--in-pod", "false",
            "--file", self.directory / "compose.yaml", *arguments, check=check)

    def said(self):
        logs = self.containers.podman("logs", "egret_app_1").stdout
        return [json.loads(line) for line in logs.splitlines()]

    def received(self, service):
        """What a service that watches has said of what it was sent."""
        return self.containers.podman("logs", f"egret_{service}_1").stdout

    def query(self, expression):
        """What Prometheus answers, asked where it is."""
        address = self.containers.podman(
            "inspect", "egret_prometheus_1", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}").stdout.strip()
        asked = subprocess.run(
            ["curl", "-fsS", "--max-time", "5", "--noproxy", "*", "-G", f"http://{address}:9090/api/v1/query",
             "--data-urlencode", f"query={expression}"],
            capture_output=True, text=True)
        return json.loads(asked.stdout)["data"]["result"] if asked.returncode == 0 else []

    def logs(self):
        done = [self.containers.podman("logs", f"egret_{name}_1", check=False) for name in COMPOSE["services"]]
        return "".join(one.stderr + one.stdout for one in done)[-4000:]


@pytest.fixture(scope="module")
def project(containers, image, app, prometheus, watchers, tmp_path_factory):
    directory = tmp_path_factory.mktemp("compose")
    shutil.copytree(ROOT / "deploy", directory, dirs_exist_ok=True)
    for parent in (directory, *directory.parents):
        if "pytest" in str(parent):
            parent.chmod(0o755)
    project = Project(containers, directory)
    project.compose("up", "--detach", "--no-build")
    yield project
    project.compose("down", "--timeout", "1", check=False)


def test_the_app_is_answered_by_the_provider_through_egret(project):
    said = eventually(project.said, lambda said: any("text" in line for line in said), seconds=30)
    assert "text" in said[-1], (said[-3:], project.logs())


def test_an_edit_of_the_policy_on_the_host_arrives(project):
    before = project.said()[-1]["policy"]
    project.policy.write_text(project.policy.read_text().replace("requests: 120", "requests: 240"))
    said = eventually(project.said, lambda said: said[-1].get("policy", before) != before)
    assert said[-1].get("policy", before) != before, project.logs()


def test_prometheus_scrapes_egret(project):
    up = eventually(lambda: project.query('up{job="egret"}'), lambda found: found and found[0]["value"][1] == "1", seconds=30)
    assert up and up[0]["value"][1] == "1", (up, project.logs())


def test_spans_reach_jaeger_by_way_of_the_collector(project):
    def spans():
        said = project.received("jaeger")
        return said if "POST /v1/chat/completions" in said and "chat gpt-4.1" in said else ""

    assert eventually(spans, bool, seconds=30), project.logs()
    assert "-> service.name: Str(egret)" in spans()
    assert "tide" not in spans(), "an answer or a question is in a span"


def test_metrics_reach_the_collector(project):
    assert eventually(lambda: "egret.calls" in project.received("collector"), bool, seconds=30), project.logs()


def test_the_collectors_pipelines_name_what_is_there():
    parts = {kind: set(COLLECTOR[kind]) for kind in ("receivers", "processors", "exporters")}
    used = {kind: set() for kind in parts}
    for pipeline in COLLECTOR["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            used[kind] |= set(names)
    assert used == parts
    protocols = COLLECTOR["receivers"]["otlp"]["protocols"].values()
    listens = {f"http://collector:{protocol['endpoint'].split(':')[1]}" for protocol in protocols}
    told = {COMPOSE["services"][name]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] for name in ("egret", "app")}
    assert told <= listens
    assert COLLECTOR["exporters"]["otlp_grpc/jaeger"]["endpoint"].split(":")[0] in COMPOSE["services"]


def test_every_service_that_holds_egret_is_confined():
    for name, service in COMPOSE["services"].items():
        if service["image"].startswith("egret:"):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
