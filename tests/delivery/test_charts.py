"""The charts as both Helms render them, and what every render promises."""

import copy
import difflib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import helm_python
import kubernetes_validate
import pytest
import values_table
import yaml
from conftest import (
    BINARY, CHARTS, KUBERNETES, RELEASE, ROOT, SHAPE_NAMES, SHAPES, containers_of, egret_of, in_order, objects, pods,
)

GOLDEN = Path(__file__).parent / "golden"
each_shape = pytest.mark.parametrize(("chart", "shape"), SHAPES, ids=SHAPE_NAMES)
each_chart = pytest.mark.parametrize("chart", values_table.CHARTS, ids=lambda chart: chart.name)


def values_of(charts, chart, shape):
    return yaml.safe_load(charts.values(chart, shape).read_text()) or {}


# --- Rendering -------------------------------------------------------------------------------------------------------


@each_shape
def test_both_helms_lint_without_a_finding(charts, chart, shape):
    charts.helm_3("lint", "--strict", charts.root / chart, "--values", charts.values(chart, shape))
    found = helm_python.lint(charts.root / chart, values_of(charts, chart, shape), strict=True)
    grave = [message for message in found["messages"] if message["severity"] > 1]
    assert not grave and not found["errors"], found


@each_shape
def test_both_helms_render_the_same(charts, chart, shape):
    by_4 = charts.render_4(chart, values_of(charts, chart, shape))
    # Helm 4's library stands for one version of Kubernetes, with native sidecars.
    assert in_order(by_4) == in_order(charts.render(chart, shape, "1.36.0"))


@each_shape
@pytest.mark.parametrize("kubernetes", ["1.28.0", "1.33.0"])
def test_renders_are_as_recorded(charts, chart, shape, kubernetes):
    """Recorded anew with UPDATE_GOLDEN=1; the difference is then read in the change."""
    text = charts.template(chart, charts.values(chart, shape), kubernetes).stdout
    golden = GOLDEN / f"{Path(chart).name}-{shape}-{kubernetes.removesuffix('.0')}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    recorded = golden.read_text()
    difference = difflib.unified_diff(recorded.splitlines(), text.splitlines(), "recorded", "rendered", lineterm="")
    assert text == recorded, "\n".join(difference)


@pytest.mark.parametrize("chart", CHARTS)
def test_a_packaged_chart_holds_all_it_needs(charts, tmp_path, chart):
    charts.helm_3("package", charts.root / chart, "--destination", tmp_path)
    [package] = tmp_path.iterdir()
    shape = next(shape for of, shape in SHAPES if of == chart)
    values = charts.values(chart, shape)
    packaged = charts.helm_3("template", "example", package, "--values", values, "--kube-version", "1.33.0").stdout
    unpacked = charts.helm_3(
        "template", "example", charts.root / chart, "--values", values, "--kube-version", "1.33.0").stdout
    assert in_order(objects(packaged)) == in_order(objects(unpacked))


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@each_shape
def test_every_object_is_valid_in_every_kubernetes(charts, chart, shape, kubernetes):
    for thing in charts.render(chart, shape, kubernetes):
        # The operator's own kinds, of which Kubernetes has no schema.
        if not thing["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(thing, kubernetes, strict=True)


def faults(things):
    """What the Prometheus operator's schemas say against objects of its kinds, as of them all."""
    done = subprocess.run(
        ["node", Path(__file__).parent / "operator.mjs"], input=json.dumps(things), capture_output=True, text=True,
        timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_object_of_the_prometheus_operator_is_as_its_schema_asks(charts, tmp_path):
    things = [thing for chart, shape in SHAPES for thing in charts.render(chart, shape)]
    for sidecars in (False, True):
        on = {"podMonitor": {"enabled": True, "sidecars": sidecars}}
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(merge(values_of(charts, "charts/egret", "minimal"), on)))
        things += objects(charts.template("charts/egret", file).stdout)
    found = [thing for thing in things if thing["apiVersion"].startswith("monitoring.coreos.com/")]
    assert len(found) == 3 and {thing["kind"] for thing in found} == {"PodMonitor"}
    assert faults(found) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"podMetricsEndpoints": [{"port": 4102}]}, "port"),
        ({"podMetricsEndpoints": [{"port": "egret-metrics", "intervall": "30s"}]}, "intervall"),
        ({"podMetricsEndpoints": [{"interval": "30 s"}]}, "interval"),
        ({"podMetricsEndpoints": [{"relabelings": [{"action": "keeep"}]}]}, "action"),
        ({"podMetricsEndpoints": [{"relabelings": [{"source_labels": ["a"]}]}]}, "source_labels"),
        ({"namespaceSelector": {"any": "yes"}}, "any"),
        ({"selector": None}, "selector"),
        ({"endpoints": []}, "endpoints"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_an_object_that_the_operator_does_not_take_is_found(charts, change, said):
    [monitor] = [thing for thing in charts.render("charts/egret", "full") if thing["kind"] == "PodMonitor"]
    assert faults([monitor]) == []
    monitor["spec"].update(change)
    [fault] = faults([monitor])
    assert said in fault, fault


def test_the_notes_name_the_next_steps(charts):
    with helm_python.Chart.load(charts.root / "charts/egret") as chart:
        rendered = chart.render(values_of(charts, "charts/egret", "minimal"), name="llm", namespace="apps")
    [notes] = [text for name, text in rendered.items() if name.endswith("NOTES.txt")]
    assert "OPENAI_BASE_URL=http://llm-egret.apps.svc:4100/v1 " in notes
    assert "ANTHROPIC_BASE_URL=http://llm-egret.apps.svc:4100 " in notes
    assert "GOOGLE_GEMINI_BASE_URL=http://llm-egret.apps.svc:4100 " in notes
    assert "helm test llm -n apps" in notes
    assert "2 pods allow 2 times as much" in notes


# --- What every pod promises -----------------------------------------------------------------------------------------


@pytest.fixture(params=["1.28.0", "1.33.0"])
def rendered(request, charts):
    return [charts.render(chart, shape, request.param) for chart, shape in SHAPES]


def all_pods(rendered):
    found = [pod for things in rendered for pod in pods(things)]
    assert len(found) >= len(SHAPES)
    return found


def test_pods_fit_the_restricted_profile(rendered):
    volumes = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for pod in all_pods(rendered):
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & pod.keys()
        assert pod["automountServiceAccountToken"] is False
        for volume in pod.get("volumes", []):
            assert volume.keys() - {"name"} <= volumes
        for container in containers_of(pod):
            context = container["securityContext"]
            assert context["runAsNonRoot"] is True and context.get("runAsUser") != 0
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"]["type"] == "RuntimeDefault"
            assert context["readOnlyRootFilesystem"] is True
            assert not any("hostPort" in port for port in container.get("ports", []))


def test_nothing_is_mounted_by_sub_path(rendered):
    assert "subPath" not in json.dumps(rendered)


def test_peer_bug_26_keys_are_in_the_container_of_egret_alone(rendered):
    for pod in all_pods(rendered):
        secret = {volume["name"] for volume in pod.get("volumes", []) if "secret" in json.dumps(volume).lower()}
        for container in containers_of(pod):
            if container["name"] == "egret":
                continue
            mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert not mounts & secret
            assert "secret" not in json.dumps([container.get("env"), container.get("envFrom")]).lower()


def test_peer_bug_23_a_change_of_the_policy_restarts_no_pod(charts, tmp_path):
    def rendered(text):
        file = tmp_path / "values.yaml"
        shape = values_of(charts, "charts/egret", "minimal")
        file.write_text(yaml.safe_dump({**shape, "policy": {"files": {"policy.yaml": text}}}))
        things = objects(charts.template("charts/egret", file).stdout)
        maps = [thing for thing in things if thing["kind"] == "ConfigMap"]
        return in_order(maps), in_order(thing for thing in things if thing["kind"] != "ConfigMap")

    (one, pods_of_one), (other, pods_of_other) = rendered("kind: One\n"), rendered("kind: Other\n")
    assert one != other
    assert pods_of_one == pods_of_other


def test_egret_has_a_memory_limit_and_no_cpu_limit(rendered):
    for pod in all_pods(rendered):
        for container in containers_of(pod):
            if container["name"] == "egret":
                assert container["resources"]["limits"].keys() == {"memory"}
                assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_probes_ask_egret_itself(rendered):
    for things in rendered:
        for thing in things:
            if thing["kind"] != "Deployment":
                continue
            egret = egret_of(thing["spec"]["template"]["spec"])
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert egret[probe]["exec"]["command"][:2] == ["/egret", "probe"]
                # egret gives up after a second; kubelet must not before.
                assert egret[probe]["timeoutSeconds"] > 1
            assert egret["startupProbe"]["periodSeconds"] == 1


def test_a_native_sidecar_is_the_first_init_container_and_serves_loopback(charts):
    [pod] = pods(charts.render("deploy/examples/app", "default", "1.29.0"))
    egret = pod["initContainers"][0]
    assert egret["name"] == "egret" and egret["restartPolicy"] == "Always"
    assert "--listen=127.0.0.1:4100" in egret["args"] and "--drain=sidecar" in egret["args"]
    assert [container["name"] for container in pod["containers"]] == ["app"]


@pytest.mark.parametrize(("shape", "kubernetes"), [("default", "1.28.0"), ("plain", "1.33.0")])
def test_a_plain_sidecar_is_the_first_container(charts, shape, kubernetes):
    [pod] = pods(charts.render("deploy/examples/app", shape, kubernetes))
    assert "initContainers" not in pod
    assert [container["name"] for container in pod["containers"]] == ["egret", "app"]
    assert "restartPolicy" not in pod["containers"][0]


@pytest.mark.parametrize("kubernetes", ["1.28.0", "1.33.0"])
def test_a_plain_sidecar_holds_back_the_app_until_it_is_ready(charts, kubernetes):
    [pod] = pods(charts.render("deploy/examples/app", "plain", kubernetes))
    egret, app = pod["containers"]
    hook = egret["lifecycle"]["postStart"]["exec"]["command"]
    started = egret["startupProbe"]["exec"]["command"]
    assert hook == [*started, "--wait=60s"] and "ready" in hook
    # Kubelet must not give up on egret before the hook does.
    assert egret["startupProbe"]["failureThreshold"] * egret["startupProbe"]["periodSeconds"] >= 60
    assert "lifecycle" not in app


def test_the_forms_of_a_sidecar_differ_in_how_kubelet_waits_for_it_alone(charts):
    [native], [plain] = [list(pods(charts.render("deploy/examples/app", "default", of))) for of in ("1.29.0", "1.28.0")]
    native, plain = copy.deepcopy(egret_of(native)), copy.deepcopy(egret_of(plain))
    assert native.pop("restartPolicy") == "Always"
    assert plain.pop("lifecycle").keys() == {"postStart"}
    assert native == plain


def test_the_app_is_told_of_egret_and_of_no_key(charts):
    [pod] = pods(charts.render("deploy/examples/app", "default"))
    environment = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    del environment["MODEL"]
    assert environment == {
        "OPENAI_BASE_URL": "http://127.0.0.1:4100/v1",
        "OPENAI_API_KEY": "egret-local",
        # These add the version themselves.
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:4100",
        "ANTHROPIC_API_KEY": "egret-local",
        "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:4100",
        "GEMINI_API_KEY": "egret-local",
    }


def environment_of(things):
    """The variables of egret: the text of each, or where it is from."""
    [egret] = [egret_of(pod) for pod in pods(things) if any(one["name"] == "egret" for one in containers_of(pod))]
    names = [entry["name"] for entry in egret["env"]]
    assert len(names) == len(set(names)), names
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in egret["env"]}


def attributes_of(environment):
    """Resource attributes as an SDK reads them."""
    pairs = (pair.split("=") for pair in environment["OTEL_RESOURCE_ATTRIBUTES"].split(","))
    return {name: unquote(value) for name, value in pairs}


@each_shape
def test_egret_knows_its_pod_by_names_that_kubelet_fills_in(charts, chart, shape):
    environment = environment_of(charts.render(chart, shape))
    known = {
        "k8s.pod.name": "metadata.name",
        "k8s.pod.uid": "metadata.uid",
        "k8s.pod.ip": "status.podIP",
        "k8s.namespace.name": "metadata.namespace",
        "k8s.node.name": "spec.nodeName",
    }
    attributes = attributes_of(environment)
    for attribute, field in known.items():
        variable = attributes[attribute].removeprefix("$(").removesuffix(")")
        assert environment[variable] == {"fieldRef": {"fieldPath": field}}
    assert attributes["k8s.container.name"] == "egret"
    # Told apart from every other process, also of the app in the same pod.
    assert attributes["service.instance.id"] == "$(K8S_NAMESPACE_NAME).$(K8S_POD_NAME).egret"
    # Kubelet fills in only what stands before it in the list.
    names = list(environment)
    for at, value in enumerate(environment.values()):
        for used in re.findall(r"\$\(([^)]+)\)", str(value)):
            assert used in names[:at], used


def test_where_telemetry_is_not_set_nothing_is_exported(charts):
    for chart, shape in (("charts/egret", "minimal"), ("charts/egret", "own-policy"), ("deploy/examples/app", "default")):
        environment = environment_of(charts.render(chart, shape))
        told = {name for name in environment if name.startswith(("OTEL_", "EGRET_"))}
        assert told == {"OTEL_RESOURCE_ATTRIBUTES"}


def test_telemetry_is_told_to_egret_by_the_variables_of_opentelemetry(charts):
    environment = environment_of(charts.render("charts/egret", "full"))
    told = {name: value for name, value in environment.items() if name.startswith(("OTEL_", "EGRET_"))}
    del told["OTEL_RESOURCE_ATTRIBUTES"]
    assert told == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector.monitoring:4317",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://$(K8S_NODE_IP):4317",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://metrics.monitoring:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_HEADERS": {"secretKeyRef": {"name": "otlp", "key": "headers"}},
        "OTEL_SERVICE_NAME": "gateway",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
        "OTEL_BSP_SCHEDULE_DELAY": "1000",
        "EGRET_SEMCONV": "latest",
    }


def test_resource_attributes_are_escaped_as_baggage_is(charts):
    text = environment_of(charts.render("charts/egret", "full"))["OTEL_RESOURCE_ATTRIBUTES"]
    # W3C: visible ASCII without quotes, commas, semicolons and backslashes; a comma here ends an attribute.
    assert re.fullmatch(r"[\x21\x23-\x2b\x2c\x2d-\x3a\x3c-\x5b\x5d-\x7e]+", text)
    attributes = attributes_of({"OTEL_RESOURCE_ATTRIBUTES": text})
    assert attributes["team"] == "Plattform & Netze, Köln; 50 %"
    assert attributes["deployment.environment.name"] == "production"


def test_any_text_may_be_a_resource_attribute(charts, tmp_path):
    given = {
        "odd": "a=b,c;d\\e\"f %41 + %2B%24 ü$(K8S_POD_NAME)",
        "url": "https://example.com/a:b+c",
        "empty": "",
    }
    values = merge(values_of(charts, "charts/egret", "minimal"), {"egret": {"telemetry": {"resourceAttributes": given}}})
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    attributes = attributes_of(environment_of(objects(charts.template("charts/egret", file).stdout)))
    assert given.items() <= attributes.items()


def test_an_exporting_process_has_a_name_of_its_own(charts, tmp_path):
    on = {"egret": {"telemetry": {"otlp": {"endpoint": "http://collector:4318"}}}}
    for chart, shape, more, name in (
        # Not the app's own name, or nobody could tell its spans from those of its sidecar.
        ("deploy/examples/app", "default", {}, "app-egret"),
        ("charts/egret", "minimal", {}, f"{RELEASE}-egret"),
        ("charts/egret", "minimal", {"egret": {"telemetry": {"serviceName": "llm"}}}, "llm"),
    ):
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(merge(merge(values_of(charts, chart, shape), on), more)))
        assert environment_of(objects(charts.template(chart, file).stdout))["OTEL_SERVICE_NAME"] == name


def test_drains_end_before_kubelet_kills(charts):
    for chart, shape in SHAPES:
        for pod in pods(charts.render(chart, shape)):
            for container in containers_of(pod):
                for flag in container.get("args", []):
                    if flag.startswith("--drain-deadline="):
                        deadline = int(flag.removeprefix("--drain-deadline=").removesuffix("s"))
                        assert deadline == pod["terminationGracePeriodSeconds"] - 5


def test_a_gateway_is_found_by_its_service_and_by_prometheus(charts):
    things = {thing["kind"]: thing for thing in charts.render("charts/egret", "full")}
    labels = things["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        things["Service"]["spec"]["selector"],
        things["Deployment"]["spec"]["selector"]["matchLabels"],
        things["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        things["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    [egret] = things["Deployment"]["spec"]["template"]["spec"]["containers"]
    ports = {port["name"] for port in egret["ports"]}
    assert ports == {"http", "egret-metrics"}
    assert {port["targetPort"] for port in things["Service"]["spec"]["ports"]} == ports
    assert things["PodMonitor"]["spec"]["podMetricsEndpoints"][0]["port"] in ports


# --- The values ------------------------------------------------------------------------------------------------------

REFUSED = [
    ("charts/egret", {"replicas": 3}, "replicas"),
    ("charts/egret", {"replicaCount": "three"}, "replicaCount"),
    ("charts/egret", {"policy": {"files": {"policy.txt": "a"}}}, "policy.txt"),
    ("charts/egret", {"terminationGracePeriodSeconds": 5}, "terminationGracePeriodSeconds"),
    ("charts/egret", {"service": {"type": "ExternalName"}}, "service"),
    ("charts/egret", {"egret": {"imgae": {}}}, "imgae"),
    ("charts/egret", {"egret": {"image": {"tag": "latest"}}}, "tag"),
    ("charts/egret", {"egret": {"image": {"digest": "sha256:12"}}}, "digest"),
    ("charts/egret", {"egret": {"ports": {"calls": 70000}}}, "calls"),
    ("charts/egret", {"egret": {"keys": {"env": {"A-KEY": {"secret": "a", "key": "b"}}}}}, "A-KEY"),
    ("charts/egret", {"egret": {"keys": {"env": {"KEY": "sk-123"}}}}, "KEY"),
    ("charts/egret", {"egret": {"securityContext": {"privileged": True}}}, "securityContext"),
    ("charts/egret", {"egret": {"telemetry": {"resourceAttributes": {"team": 7}}}}, "resourceAttributes"),
    ("charts/egret", {"egret": {"telemetry": {"resourceAttributes": {"service.name": "a"}}}}, "service.name"),
    ("charts/egret", {"egret": {"telemetry": {"resourceAttributes": {"a=b": "c"}}}}, "a=b"),
    ("charts/egret", {"egret": {"telemetry": {"otlp": {"endpoint": "collector:4317"}}}}, "endpoint"),
    ("charts/egret", {"egret": {"telemetry": {"otlp": {"protocol": "http/json"}}}}, "protocol"),
    ("charts/egret", {"egret": {"telemetry": {"otlp": {"headers": "authorization=Bearer a"}}}}, "headers"),
    ("charts/egret", {"egret": {"telemetry": {"otlp": {"headersSecret": {"secret": "otlp"}}}}}, "headersSecret"),
    ("charts/egret", {"egret": {"telemetry": {"otlp": {"headersSecret": {"name": "otlp"}}}}}, "name"),
    ("charts/egret", {"egret": {"telemetry": {"sampler": "ratio"}}}, "sampler"),
    ("charts/egret", {"egret": {"telemetry": {"samplerArg": 10}}}, "samplerArg"),
    ("charts/egret", {"egret": {"telemetry": {"samplerArg": "a tenth"}}}, "samplerArg"),
    ("charts/egret", {"egret": {"telemetry": {"semconv": "v1.0"}}}, "semconv"),
    (
        "charts/egret",
        {"egret": {"telemetry": {"sampler": "always_on"}, "extraEnv": [{"name": "OTEL_TRACES_SAMPLER", "value": "always_off"}]}},
        "OTEL_TRACES_SAMPLER is set twice",
    ),
    ("charts/egret", {"egret": {"policy": {"configMap": "other"}}}, "one policy, not two"),
    ("charts/egret", {"policy": {"files": None}}, "no policy: set policy.files"),
    ("charts/egret", {"podMonitor": {"enabled": True}, "egret": {"metrics": {"enabled": False}}}, "nothing to scrape"),
    ("deploy/examples/app", {"egret": {"native": "perhaps"}}, "native"),
    ("deploy/examples/app", {"egret": {"drain": {"deadline": 25}}}, "deadline"),
    ("deploy/examples/app", {"egret": {"policy": {"configMap": ""}}}, "name the ConfigMap"),
]


@pytest.mark.parametrize(("chart", "values", "said"), REFUSED, ids=[said for _, _, said in REFUSED])
def test_both_helms_refuse_what_cannot_be_meant(charts, tmp_path, chart, values, said):
    first = values_of(charts, chart, next(shape for of, shape in SHAPES if of == chart and shape in ("minimal", "default")))
    merged = merge(first, values)
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(merged))
    by_3 = charts.template(chart, file, check=False)
    assert by_3.returncode != 0 and said in by_3.stderr, by_3.stderr
    with pytest.raises(helm_python.HelmError) as by_4:
        charts.render_4(chart, merged)
        validate_4(charts, chart, merged)
    assert said in str(by_4.value)


def validate_4(charts, chart, values):
    with helm_python.Chart.load(charts.root / chart) as loaded:
        loaded.validate_schema(values)


def merge(base, over):
    both = dict(base)
    for key, value in over.items():
        both[key] = merge(both.get(key) or {}, value) if isinstance(value, dict) else value
    return both


def test_a_native_sidecar_is_not_promised_to_an_old_cluster(charts, tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text("egret: { native: always }")
    done = charts.template("deploy/examples/app", file, "1.28.0", check=False)
    assert done.returncode != 0 and "needs Kubernetes 1.29" in done.stderr


@each_chart
def test_every_value_is_in_the_schema_and_every_field_of_the_schema_is_a_value(chart):
    values = yaml.safe_load((chart / "values.yaml").read_text())
    schema = json.loads((chart / "values.schema.json").read_text())
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert_same_fields(values, schema, chart.name)


def assert_same_fields(values, schema, at):
    assert schema["additionalProperties"] is False, f"{at} is open"
    fields = schema["properties"].keys() - {"global"}
    assert fields == values.keys(), at
    for name in fields:
        inner = schema["properties"][name]
        if "properties" in inner:
            # `resources` and its like may leave fields out.
            given = {**dict.fromkeys(inner["properties"]), **(values[name] or {})}
            assert_same_fields(given, inner, f"{at}.{name}")


@each_chart
def test_the_table_of_values_is_fresh(chart):
    assert (chart / "README.md").read_text() == values_table.readme(chart), "run tests/delivery/values_table.py"


def test_there_is_one_version():
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    for chart in values_table.CHARTS:
        about = yaml.safe_load((chart / "Chart.yaml").read_text())
        assert (about["version"], about["appVersion"]) == (version, version)
        assert all(dependency["version"] == version for dependency in about.get("dependencies", []))
    values = yaml.safe_load((ROOT / "charts/egret-sidecar/values.yaml").read_text())
    assert values["image"]["tag"] == version
    assert f"ARG VERSION={version}\n" in (ROOT / "deploy/Dockerfile").read_text()


# --- With egret itself -----------------------------------------------------------------------------------------------


def policy_of(things, directory):
    """The policy as a pod has it: a directory with a file per key."""
    for thing in things:
        if thing["kind"] == "ConfigMap" and thing["metadata"]["name"].endswith("policy"):
            directory.mkdir()
            for name, text in thing["data"].items():
                (directory / name).write_text(text)
            return directory
    return None


@each_shape
def test_egret_takes_the_policy_and_the_flags_that_are_rendered(charts, tmp_path, chart, shape):
    things = charts.render(chart, shape)
    policy = policy_of(things, tmp_path / "policy")
    if policy is None:
        policy = ROOT / "policies/quickstart.yaml"
    checked = subprocess.run([BINARY, "check", policy], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout
    [deployment] = [thing for thing in things if thing["kind"] == "Deployment"]
    egret = egret_of(deployment["spec"]["template"]["spec"])
    arguments = [here(flag, policy) for flag in egret["args"] if not flag.startswith(("--extra-ca", "--tenant"))]
    process = subprocess.Popen([BINARY, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        said = process.stderr.readline()
        while said and "listen=" not in said:
            said += process.stderr.readline()
    finally:
        process.terminate()
        rest = process.communicate(timeout=30)[1]
    assert "egret is ready" in said and process.returncode == 0, said + rest


def test_the_app_of_the_example_is_tried_with_the_libraries_of_its_image():
    dockerfile = (ROOT / "deploy/examples/app/Dockerfile").read_text()
    pinned = set(re.findall(r"\S+==\S+", dockerfile))
    assert pinned
    assert pinned <= set((ROOT / "tests/delivery/requirements.in").read_text().split())


def test_the_app_of_the_example_is_answered_and_ends_when_told():
    flags = ["--policy", ROOT / "policies/quickstart.yaml", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    egret = subprocess.Popen([BINARY, "run", *flags], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    app = None
    try:
        while not (found := re.search(r"listen=(\S+)", line := egret.stderr.readline())):
            assert line, "egret did not start"
        told = {"OPENAI_BASE_URL": f"http://{found[1]}/v1", "OPENAI_API_KEY": "egret-local", "PATH": os.environ["PATH"]}
        script = ROOT / "deploy/examples/app/app.py"
        app = subprocess.Popen([sys.executable, script], env=told, stdout=subprocess.PIPE, text=True)
        answer = app.stdout.readline()
        assert len(answer.split()) > 3 and "no answer" not in answer
        app.terminate()
        assert app.wait(timeout=10) == 0
    finally:
        for process in (app, egret):
            if process and process.poll() is None:
                process.terminate()
                process.communicate(timeout=30)


def here(flag, policy):
    """A flag of the pod, for this machine: the policy's place, any free port, no wait for load balancers."""
    flag = flag.replace("/etc/egret/policy", str(policy))
    flag = re.sub(r"^(--drain-grace)=.*", r"\1=0s", flag)
    return re.sub(r"^(--(?:listen|admin|metrics))=.*", r"\1=127.0.0.1:0", flag)
