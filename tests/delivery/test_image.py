"""The image as buildah makes it, and a pod of the example app as podman runs it. Needs root; see namespace.sh."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, egret_of, pods

# Statically linked, of the release profile.
EGRET = Path(os.environ["EGRET_STATIC"])
# A Node with the official SDK beside it, which plays the app.
NODE = Path(os.environ["EGRET_APP_NODE"])
SDK = ROOT / "tests/sdk/node/node_modules"
MEGABYTE = 1_000_000


class Containers:
    """buildah and podman with storage of their own: the machine's stays as it is."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{directory}/graph"\nrunroot = "{directory}/run"\n')
        # Ulimits within what a process without CAP_SYS_RESOURCE may set.
        (directory / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "crun"\n')
        self.environment = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
            "CONTAINERS_CONF": str(directory / "containers.conf"),
        }

    def run(self, *command, check=True):
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, env=self.environment, timeout=120,
            cwd=self.directory)
        if check:
            assert done.returncode == 0, f"{command}: {done.stderr}"
        return done

    def build(self, tree, name, *options, dockerfile=ROOT / "deploy/Dockerfile"):
        """Builds an image and gives its id."""
        identity = self.directory / "id"
        self.run(
            "buildah", "bud", "--isolation", "chroot", "--timestamp", "0", "--iidfile", identity,
            "--file", dockerfile, "--tag", name, *options, tree)
        return identity.read_text().strip()

    def podman(self, *arguments, check=True):
        return self.run("podman", *arguments, check=check)


@pytest.fixture(scope="module")
def containers(tmp_path_factory):
    # Not under pytest's own directories: overlays are not to be kept for later runs.
    directory = tmp_path_factory.mktemp("containers")
    containers = Containers(directory)
    yield containers
    containers.podman("pod", "rm", "--all", "--force", "--time", "1", check=False)
    containers.podman("rm", "--all", "--force", "--time", "1", check=False)
    containers.run("umount", directory / "graph/overlay", check=False)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """What the Dockerfile's first stage would have built."""
    tree = tmp_path_factory.mktemp("files")
    certificates = tree / "etc/ssl/certs"
    certificates.mkdir(parents=True)
    shutil.copy(EGRET, tree / "egret")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", certificates)
    (tree / "etc/passwd").write_text("egret:x:65532:65532:egret:/:/egret\n")
    return tree


MADE = ["--build-arg", "FILES=made", "--target", "runtime"]


@pytest.fixture(scope="module")
def image(containers, tree):
    return containers.build(tree, "egret:0.1.0", *MADE)


# --- The image -------------------------------------------------------------------------------------------------------


def test_built_twice_it_is_the_same_image(containers, tree, image):
    assert containers.build(tree, "egret:again", "--no-cache", *MADE) == image


def test_it_is_small(containers, image, tmp_path):
    containers.run("buildah", "push", "--quiet", image, f"oci:{tmp_path}/layout:egret")
    blobs = [blob.stat().st_size for blob in (tmp_path / "layout/blobs/sha256").iterdir()]
    size = sum(blobs)
    print(f"image: {size / MEGABYTE:.1f} MB compressed")
    assert size < 15 * MEGABYTE


def test_it_says_what_it_is_and_runs_as_nobody_special(containers, image):
    [about] = json.loads(containers.podman("image", "inspect", image).stdout)
    config = about["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/egret"] and config["Cmd"] == ["run"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] == "0.1.0"


def test_it_holds_the_binary_the_certificates_and_nothing_else(containers, image):
    name = containers.podman("create", image).stdout.strip()
    listed = containers.run("sh", "-c", f"podman export {name} | tar -t").stdout.split()
    containers.podman("rm", name)
    # What podman mounts over is not of the image.
    files = {file for file in listed if not file.endswith("/")} - {"etc/hosts", "etc/hostname", "etc/resolv.conf"}
    files = {file for file in files if not file.startswith(("dev/", "proc/", "run/", "sys/"))}
    assert files - {"etc/mtab"} == {"egret", "etc/passwd", "etc/ssl/certs/ca-certificates.crt"}


def test_its_healthcheck_passes(containers, tree, image, tmp_path):
    # Only Docker's format has room for one.
    containers.build(tree, "egret:docker", "--format", "docker", *MADE)
    policy = tmp_path / "policy"
    policy.mkdir()
    shutil.copy(ROOT / "policies/quickstart.yaml", policy)
    policy.chmod(0o755)
    name = containers.podman(
        "run", "--detach", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges",
        "--network", "none", "--volume", f"{policy}:/etc/egret/policy:ro", "egret:docker").stdout.strip()
    try:
        asked = eventually(lambda: containers.podman("healthcheck", "run", name, check=False), lambda done: done.returncode == 0)
        assert asked.returncode == 0, containers.podman("logs", name).stderr
    finally:
        containers.podman("rm", "--force", "--time", "5", name)


# --- The pod ---------------------------------------------------------------------------------------------------------

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
def app(containers, tmp_path_factory):
    """The image of the app: Node, its libraries, the SDK."""
    tree = tmp_path_factory.mktemp("app")
    linked = subprocess.run(["ldd", NODE], capture_output=True, text=True, check=True).stdout
    for library in {Path(found) for found in re.findall(r"(/\S+\.so\S*)", linked)}:
        place = tree / "lib64" if library.parent == Path("/lib64") else tree / "lib/x86_64-linux-gnu"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    shutil.copy(NODE, tree / "node")
    shutil.copytree(SDK, tree / "app/node_modules", symlinks=True)
    shutil.copy(ROOT / "tests/delivery/app.mjs", tree / "app/app.mjs")
    dockerfile = tree.parent / "Dockerfile.app"
    dockerfile.write_text('FROM scratch\nCOPY . /\nENTRYPOINT ["/node", "/app/app.mjs"]\n')
    return containers.build(tree, "egret-example-app:0.1.0", dockerfile=dockerfile)


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
    said = eventually(pod.said, lambda said: said[-1].get("text") == SECOND.strip())
    assert said[-1]["text"] == SECOND.strip(), pod.logs()
    assert said[-1]["policy"] != before
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


def eventually(ask, good, seconds=15):
    """Asks until the answer is good or time is up, and gives the last answer."""
    until = time.monotonic() + seconds
    while True:
        answer = ask()
        if good(answer) or time.monotonic() > until:
            return answer
        time.sleep(0.1)
