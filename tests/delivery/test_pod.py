"""The pod of the example app, as podman runs it. Needs root; see namespace.sh."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
import yaml
from conftest import egret_of, pods
from containers import eventually

POLICY = """\
apiVersion: egret.dev/v1alpha1
kind: Policy
allowMock: true
providers:
  openai: {{ mock: {{ says: "{says}", tokensPerSecond: 20 }} }}
models:
  gpt-4.1: {{ provider: openai, contextTokens: 1047576, maxOutputTokens: 32768 }}
routes:
  chat: {{ targets: [{{ model: gpt-4.1 }}] }}
tenants:
  app: {{ local: true, access: {{ allow: [chat] }}, limits: {{ rpm: {{ requests: 6000, per: 1m }} }} }}
"""
FIRST = "low " * 40
SECOND = "high " * 40


class Volume:
    """A directory that is written as kubelet writes a ConfigMap: all of it at once, by one rename of a link."""

    def __init__(self, directory):
        self.directory = directory
        self.turn = 0

    def write(self, files):
        self.turn += 1
        data = self.directory / f"..2026_11_20_{self.turn}"
        data.mkdir(mode=0o755)
        for name, text in files.items():
            (data / name).write_text(text)
        before = os.readlink(self.directory / "..data") if self.turn > 1 else None
        (self.directory / "..data_tmp").symlink_to(data.name)
        (self.directory / "..data_tmp").rename(self.directory / "..data")
        for name in files:
            if not (self.directory / name).is_symlink():
                (self.directory / name).symlink_to(f"..data/{name}")
        if before:
            shutil.rmtree(self.directory / before)


class Pod:
    """The example app's pod, with egret as a plain container: podman knows no native sidecars."""

    def __init__(self, containers, things, policy, keys):
        self.containers = containers
        [spec] = pods(things)
        for container in spec["containers"]:
            # Kubelet's part: who the pod is, when to ask for its health, which port has a name.
            container["env"] = [entry for entry in container.get("env", []) if "value" in entry]
            for field in ("startupProbe", "readinessProbe", "livenessProbe", "ports"):
                container.pop(field, None)
            container["imagePullPolicy"] = "Never"
        spec["volumes"] = [
            {"name": "egret-policy", "hostPath": {"path": str(policy)}},
            {"name": "egret-keys", "hostPath": {"path": str(keys)}},
        ]
        spec["restartPolicy"] = "Never"
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec}
        # A directory that has no file of an image's name: podman would build that.
        place = containers.directory / "play"
        place.mkdir(exist_ok=True)
        (place / "pod.yaml").write_text(yaml.safe_dump(pod))
        containers.podman("play", "kube", "--network", "none", place / "pod.yaml")

    def said(self):
        """What the app said so far."""
        logs = self.containers.podman("logs", "pod-app").stdout
        return [json.loads(line) for line in logs.splitlines()]

    def state(self, name):
        [found] = json.loads(self.containers.podman("inspect", f"pod-{name}").stdout)
        return found

    def logs(self):
        return "".join(self.containers.podman("logs", f"pod-{name}").stderr for name in ("egret", "app"))


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    directory = tmp_path_factory.mktemp("policy")
    directory.chmod(0o755)
    volume = Volume(directory)
    volume.write({"policy.yaml": POLICY.format(says=FIRST.strip())})
    return volume


@pytest.fixture(scope="module")
def pod(containers, image, app, charts, policy, tmp_path_factory):
    # pytest's directories are the user's own; egret in the pod is another user.
    for parent in policy.directory.parents:
        if "pytest" in parent.name:
            parent.chmod(0o755)
    things = charts.render("deploy/examples/app", "plain")
    return Pod(containers, things, policy.directory, tmp_path_factory.mktemp("keys"))


def test_the_sdk_calls_through_the_sidecar(pod):
    said = eventually(pod.said, lambda said: any("text" in line for line in said))
    assert said and said[-1].get("text") == FIRST.strip(), (said, pod.logs())


def test_the_sidecar_answers_the_probes_of_the_chart(pod, charts):
    [spec] = pods(charts.render("deploy/examples/app", "plain"))
    egret = egret_of(spec)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = pod.containers.podman("exec", "pod-egret", *egret[probe]["exec"]["command"], check=False)
        assert asked.returncode == 0, asked.stdout + asked.stderr


def test_the_sidecar_cannot_write_and_can_gain_nothing(pod):
    state = pod.state("egret")
    pid = state["State"]["Pid"]
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == 0 and int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    mounts = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    [root] = [mount for mount in mounts if mount[4] == "/"]
    assert "ro" in root[5].split(",")


def test_an_edit_of_the_policy_arrives_without_a_restart(pod, policy):
    before = pod.said()[-1]["policy"]
    policy.write({"policy.yaml": POLICY.format(says=SECOND.strip())})
    said = eventually(pod.said, lambda said: said[-1].get("policy", before) != before)
    assert said[-1]["policy"] != before, pod.logs()
    assert said[-1]["text"] == SECOND.strip()
    assert not [line for line in said[1:] if "error" in line]


def test_at_its_end_the_sidecar_serves_the_app_to_the_last_word(pod):
    begun = time.monotonic()
    pod.containers.podman("pod", "stop", "--time", "30", "pod")
    took = time.monotonic() - begun
    # The stream of forty words at twenty a second, begun after SIGTERM.
    assert pod.said()[-1] == {"last": SECOND.strip()}, (pod.said()[-1], pod.logs())
    assert pod.state("app")["State"]["ExitCode"] == 0
    assert pod.state("egret")["State"]["ExitCode"] == 0, pod.logs()
    print(f"the pod ended in {took:.1f} s")
    assert took < 15
