"""compose.yaml, by podman-compose: all of it, with images made here in place of those of a registry. Needs root."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from containers import eventually, with_libraries

PROMETHEUS = Path(os.environ["EGRET_PROMETHEUS"])
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())


@pytest.fixture(scope="module")
def prometheus(containers, tmp_path_factory):
    """Debian's Prometheus under the name that compose.yaml asks for."""
    tree = tmp_path_factory.mktemp("prometheus")
    with_libraries(PROMETHEUS, tree / "bin/prometheus", tree)
    (tree / "tmp").mkdir()
    entrypoint = ["/bin/prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/data"]
    # The name in full, as podman looks it up.
    name = f"docker.io/{COMPOSE['services']['prometheus']['image']}"
    return containers.build_from(tree, name, json.dumps(entrypoint))


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
def project(containers, image, app, prometheus, tmp_path_factory):
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


def test_every_service_that_holds_egret_is_confined():
    for name, service in COMPOSE["services"].items():
        if service["image"].startswith("egret:"):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
