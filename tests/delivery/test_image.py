"""The image as buildah makes it. Needs root; see namespace.sh."""

import json
import shutil

from conftest import ROOT
from containers import MADE, eventually

MEGABYTE = 1_000_000


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
