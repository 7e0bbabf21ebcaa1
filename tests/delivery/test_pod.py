"""The pod of the example app, as podman runs it. Needs root; see namespace.sh."""

import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote
from urllib.request import urlopen

import pytest
import yaml
from conftest import egret_of, pods
from containers import EGRET, eventually

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
# What kubelet knows of a pod.
KNOWN = {
    "metadata.name": "pod",
    "metadata.uid": "6f1c1f0e-3f0c-4c55-9d2c-0a1b2c3d4e5f",
    "metadata.namespace": "apps",
    "spec.nodeName": "node-1",
    "status.podIP": "fd00::7",
    "status.hostIP": "127.0.0.1",
}
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


def filled_in(entries):
    """Variables with what kubelet puts into them: what it knows, and `$(NAME)` of those before."""
    told = {}
    for entry in entries:
        text = entry["value"] if "value" in entry else KNOWN[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        told[entry["name"]] = re.sub(r"\$\(([^)]+)\)", lambda found: told.get(found[1], found[0]), text)
    return [{"name": name, "value": value} for name, value in told.items()]


class Pod:
    """The example app's pod, with egret as a plain container: podman knows no native sidecars."""

    def __init__(self, containers, things, policy, keys):
        self.containers = containers
        [spec] = pods(things)
        for container in spec["containers"]:
            # Kubelet's part: who the pod is, when to ask for its health, which port has a name.
            container["env"] = filled_in(container.get("env", []))
            for field in ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports"):
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
    asked_by = [egret[probe] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    for kubelet in (*asked_by, egret["lifecycle"]["postStart"]):
        asked = pod.containers.podman("exec", "pod-egret", *kubelet["exec"]["command"], check=False)
        assert asked.returncode == 0, asked.stdout + asked.stderr


def test_the_process_is_told_which_pod_it_is_in(pod):
    pid = pod.state("egret")["State"]["Pid"]
    variables = Path(f"/proc/{pid}/environ").read_text().rstrip("\0").split("\0")
    environment = dict(variable.split("=", 1) for variable in variables)
    attributes = dict(pair.split("=") for pair in environment["OTEL_RESOURCE_ATTRIBUTES"].split(","))
    assert {name: unquote(value) for name, value in attributes.items()} == {
        "k8s.pod.name": "pod",
        "k8s.pod.uid": KNOWN["metadata.uid"],
        "k8s.pod.ip": "fd00::7",
        "k8s.namespace.name": "apps",
        "k8s.node.name": "node-1",
        "k8s.container.name": "egret",
        "service.instance.id": "apps.pod.egret",
    }
    # A collector that is not there: calls are answered all the same.
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"


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
    begun = datetime.now(UTC)
    pod.containers.podman("pod", "stop", "--time", "30", "pod")
    took = (datetime.now(UTC) - begun).total_seconds()
    # The stream of forty words at twenty a second, begun after SIGTERM.
    assert pod.said()[-1] == {"last": SECOND.strip()}, (pod.said()[-1], pod.logs())
    assert pod.state("app")["State"]["ExitCode"] == 0
    assert pod.state("egret")["State"]["ExitCode"] == 0, pod.logs()
    app, egret = [ended(pod.state(name)) for name in ("app", "egret")]
    print(f"SIGTERM to exit: the app {(app - begun).total_seconds():.1f} s, egret {(egret - begun).total_seconds():.1f} s,"
          f" the pod {took:.1f} s")
    assert egret > app
    assert took < 15


def ended(state):
    return datetime.fromisoformat(state["State"]["FinishedAt"])


# --- What a pod may have, or not -------------------------------------------------------------------------------------


@pytest.fixture
def volume(tmp_path):
    """A volume with a policy of its own that other users may read."""
    for folder in (tmp_path, *tmp_path.parents):
        if "pytest" in str(folder):
            folder.chmod(0o755)
    directory = tmp_path / "policy"
    directory.mkdir(mode=0o755)
    volume = Volume(directory)
    volume.write({"policy.yaml": POLICY.format(says="low")})
    return volume


def test_an_idle_sidecar_ends_within_the_two_seconds_that_kubelet_may_leave_it(containers, image, volume):
    with started(containers, image, f"{volume.directory}:/etc/egret/policy:ro") as name:
        begun = datetime.now(UTC)
        containers.podman("kill", "--signal", "TERM", name)
        assert containers.podman("wait", name).stdout.strip() == "0"
        [state] = json.loads(containers.podman("inspect", name).stdout)
    took = (ended(state) - begun).total_seconds()
    print(f"SIGTERM to exit: an idle sidecar {took:.2f} s")
    assert took < 2


def test_a_policy_that_is_mounted_as_one_file_is_warned_of(containers, image, volume):
    file = "/etc/egret/policy/policy.yaml"
    for mount, warned in ((f"{volume.directory}:/etc/egret/policy:ro", 0), (f"{volume.directory}/policy.yaml:{file}:ro", 1)):
        with started(containers, image, mount) as name:
            said = containers.podman("logs", name).stderr.splitlines()
        warnings = [line for line in said if "a mount of its own" in line]
        assert len(warnings) == warned and all(file in line for line in warnings), said


@contextmanager
def started(containers, image, mount):
    """A container of egret that is ready."""
    name = containers.podman("run", "--detach", "--network", "none", "--volume", mount, image).stdout.strip()
    try:
        asked = containers.podman("exec", name, "/egret", "probe", "--wait", "15s", check=False)
        assert asked.returncode == 0, asked.stdout + containers.podman("logs", name).stderr
        yield name
    finally:
        containers.podman("rm", "--force", "--time", "5", name)


def test_where_the_node_has_no_inotify_instance_left_an_edit_arrives_all_the_same(volume):
    # In a user namespace of its own, which may have none.
    script = 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$0" run --listen 127.0.0.1:0 --admin 127.0.0.1:0 "$@"'
    process = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "sh", "-c", script, EGRET, "--policy", volume.directory],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stderr.readline()
        while (line := process.stderr.readline()) and "egret is ready" not in line:
            said += line
        assert "gives no events; the policy is polled" in said
        admin = re.search(r"admin=(\S+)", line)[1]
        before = revision(admin)
        volume.write({"policy.yaml": POLICY.format(says="high")})
        assert eventually(lambda: revision(admin), lambda now: now != before, seconds=3) != before
    finally:
        process.terminate()
        process.communicate(timeout=10)


def revision(admin):
    with urlopen(f"http://{admin}/policy", timeout=5) as page:
        return json.load(page)["revision"]
