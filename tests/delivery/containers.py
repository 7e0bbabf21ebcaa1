"""Fixtures of the suites that run containers: buildah, podman, the images. See namespace.sh."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Statically linked, of the release profile.
EGRET = Path(os.environ["EGRET_STATIC"])
# A Node with the official SDK beside it, which plays the app.
NODE = Path(os.environ["EGRET_APP_NODE"])
SDK = ROOT / "tests/sdk/node/node_modules"
MADE = ["--build-arg", "FILES=made", "--target", "runtime"]


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

    def run(self, *command, check=True, environment=()):
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=120,
            env={**self.environment, **dict(environment)}, cwd=self.directory)
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

    def build_from(self, tree, name, entrypoint):
        """An image that is just a tree of files."""
        dockerfile = self.directory / "Dockerfile"
        dockerfile.write_text(f"FROM scratch\nCOPY . /\nENTRYPOINT {entrypoint}\n")
        return self.build(tree, name, dockerfile=dockerfile)

    def podman(self, *arguments, check=True):
        return self.run("podman", *arguments, check=check)


@pytest.fixture(scope="session")
def containers(tmp_path_factory):
    directory = tmp_path_factory.mktemp("containers")
    containers = Containers(directory)
    yield containers
    containers.podman("pod", "rm", "--all", "--force", "--time", "1", check=False)
    containers.podman("rm", "--all", "--force", "--time", "1", check=False)
    containers.run("umount", directory / "graph/overlay", check=False)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """What the Dockerfile's first stage would have built."""
    tree = tmp_path_factory.mktemp("files")
    certificates = tree / "etc/ssl/certs"
    certificates.mkdir(parents=True)
    shutil.copy(EGRET, tree / "egret")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", certificates)
    (tree / "etc/passwd").write_text("egret:x:65532:65532:egret:/:/egret\n")
    return tree


@pytest.fixture(scope="session")
def image(containers, tree):
    return containers.build(tree, "egret:0.1.0", *MADE)


@pytest.fixture(scope="session")
def app(containers, tmp_path_factory):
    """The image of the app: Node and the SDK."""
    tree = tmp_path_factory.mktemp("app")
    with_libraries(NODE, tree / "node", tree)
    shutil.copytree(SDK, tree / "app/node_modules", symlinks=True)
    shutil.copy(ROOT / "tests/delivery/app.mjs", tree / "app/app.mjs")
    return containers.build_from(tree, "egret-example-app:0.1.0", '["/node", "/app/app.mjs"]')


def with_libraries(binary, place, tree):
    """Copies a binary of this machine into a tree, with what it is linked to."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(binary, place)
    linked = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    for library in {Path(found) for found in re.findall(r"(/\S+\.so\S*)", linked)}:
        loader = library.name.startswith("ld-")
        to = tree / "lib64" if loader else tree / "lib/x86_64-linux-gnu"
        to.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, to)


def eventually(ask, good, seconds=15):
    """Asks until the answer is good or time is up, and gives the last answer."""
    until = time.monotonic() + seconds
    while True:
        answer = ask()
        if good(answer) or time.monotonic() > until:
            return answer
        time.sleep(0.1)
