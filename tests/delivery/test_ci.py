"""What `deploy/ci` has for Kubernetes: valid, and in the order that makes a check a check. Its scripts are run by
`tests/integration/ci.rs`."""

import os
import subprocess

import kubernetes_validate
import pytest
import yaml
from conftest import KUBERNETES, ROOT

FOLDER = ROOT / "deploy/ci/kubernetes"
KUSTOMIZE = os.environ.get("EGRET_KUSTOMIZE", "kustomize")
# Kinds of which Kubernetes has no schema.
FOREIGN = ("kustomize.config.k8s.io/", "kustomize.toolkit.fluxcd.io/", "egret.dev/")
HOOK = "argocd.argoproj.io/hook"

# The oldest of them knows no native sidecars, which one of the pods has.
each_version = pytest.mark.parametrize("kubernetes", KUBERNETES[1:])


def validate(thing, kubernetes):
    if not thing["apiVersion"].startswith(FOREIGN):
        kubernetes_validate.validate(thing, kubernetes, strict=True)


def render(name):
    done = subprocess.run([KUSTOMIZE, "build", FOLDER / name], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def one(things, kind, name):
    found = [thing for thing in things if thing["kind"] == kind and thing["metadata"]["name"].startswith(name)]
    assert len(found) == 1, (kind, name, found)
    return found[0]


def mounted(pod):
    return [volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume]


@each_version
def test_every_file_is_valid(kubernetes):
    for path in FOLDER.glob("*/*.yaml"):
        for thing in yaml.safe_load_all(path.read_text()):
            # A patch is no whole object.
            if path.name != "check.yaml":
                validate(thing, kubernetes)


@each_version
@pytest.mark.parametrize("name", ["policy", "check", "argocd", "init-container"])
def test_what_kustomize_renders_is_valid(name, kubernetes):
    for thing in render(name):
        validate(thing, kubernetes)


def test_the_job_of_argo_cd_looks_at_a_copy_and_comes_first():
    things = render("argocd")
    job = one(things, "Job", "egret-policy-check-candidate")
    copy = one(things, "ConfigMap", "egret-policy-candidate")
    [serving] = [thing for thing in things if thing["kind"] == "ConfigMap" and thing is not copy]
    assert mounted(job["spec"]["template"]["spec"]) == [copy["metadata"]["name"]]
    assert copy["data"] == serving["data"]
    for thing in (job, copy):
        assert thing["metadata"]["annotations"][HOOK] == "PreSync"
    assert int(copy["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) < 0
    assert "annotations" not in serving["metadata"]


def test_flux_applies_the_policy_after_the_check_alone():
    check, policy = yaml.safe_load_all((FOLDER / "flux/policy.yaml").read_text())
    assert check["spec"]["wait"] and check["spec"]["force"]
    assert policy["spec"]["dependsOn"] == [{"name": check["metadata"]["name"]}]
    for thing, name in ((check, "check"), (policy, "policy")):
        assert (ROOT / thing["spec"]["path"]).resolve() == FOLDER / name


def test_the_init_container_comes_before_egret():
    things = render("init-container")
    pod = one(things, "Deployment", "app")["spec"]["template"]["spec"]
    assert [container["name"] for container in pod["initContainers"]] == ["test-policy", "egret"]
    policy = one(things, "ConfigMap", "egret-policy")["metadata"]["name"]
    assert mounted(pod) == [policy]
