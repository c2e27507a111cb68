"""Kustomize and Helm: both say the same, it is valid, and what is in it is what the exporter and Prometheus take."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from peers.parts import ROOT, fetched, generations, missing, program

from deploy.rendering import (
    CHART,
    KUSTOMIZE,
    NAMESPACE,
    OVERLAYS,
    VALUES,
    Objects,
    helm,
    kustomize,
    of_kind,
    rendered,
    run,
    workload,
    write,
)
from exporter.config import add_flags, load

pytestmark = pytest.mark.real

OPERATOR = ("ServiceMonitor", "PodMonitor", "Probe", "ScrapeConfig", "PrometheusRule")
TARGETED = ("kustomize many-milvus", "helm many-milvus", "helm everything")
RULES = ROOT / "deploy" / "prometheus" / "milvus-refresh.rules.yml"
API_VERSIONS = ("1.25", "1.31", "1.37")
HASH = "$2b$10$71.XHtn9hJoY1ScZb.3Gy.pgKrH7rSLVc4K0HPL.nikwB23152i0S"


@pytest.fixture(scope="module")
def everything() -> dict[str, Objects]:
    return rendered()


# Both ways


def comparable(made: Objects) -> dict[str, Any]:
    """Leave out what only one of the two tools knows: Helm's labels and checksums, Kustomize's hashes of names."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            helms = {"helm.sh/chart", "app.kubernetes.io/managed-by", "checksum/config"}
            kept = {key: plain(each) for key, each in value.items() if key not in helms}
            return {key: each for key, each in kept.items() if not (key == "annotations" and not each)}
        if isinstance(value, list):
            return [plain(each) for each in value]
        if isinstance(value, str):
            return re.sub(r"^(milvus-refresh-exporter)-[a-z0-9]{10}$", r"\1", value)
        return value

    found = {}
    for each in made:
        if "helm.sh/hook" in each["metadata"].get("annotations", {}):
            continue
        clean = plain(deepcopy(each))
        clean["metadata"].pop("namespace", None)
        if clean["kind"] == "PrometheusRule":  # made for use without either of them, under a name of its own
            clean["metadata"] = {"name": "milvus-refresh-exporter"}
        if "exporter.yaml" in clean.get("data", {}):
            clean["data"] = yaml.safe_load(clean["data"]["exporter.yaml"])
        if clean["kind"] == "ConfigMap" and "data" in clean:
            clean["data"] = {
                key: each.strip() if isinstance(each, str) else each for key, each in clean["data"].items()
            }
        found[f"{clean['kind']}/{clean['metadata']['name']}"] = clean
    return found


@pytest.mark.parametrize("overlay", [*OVERLAYS, "base"])
def test_kustomize_and_helm_make_the_same_objects(overlay: str) -> None:
    """Each overlay has a values file beside the chart that says the same."""
    if overlay == "base":
        ours, theirs = kustomize(KUSTOMIZE / "base"), helm()
    else:
        ours = kustomize(KUSTOMIZE / "overlays" / overlay)
        theirs = helm(CHART / "ci" / f"{overlay}-values.yaml")
    left, right = comparable(ours), comparable(theirs)
    assert left.keys() == right.keys()
    assert left == right


# Valid


def test_helm_has_nothing_to_complain_about() -> None:
    for values in ([], *(["--values", str(path)] for path in VALUES)):
        done = run("kubernetes", "helm", "lint", "--strict", str(CHART), *values)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", API_VERSIONS)
def test_every_object_fits_the_schema_of_this_kubernetes(
    version: str, everything: dict[str, Objects], tmp_path: Path
) -> None:
    paths = []
    for number, made in enumerate(everything.values()):
        paths += write([each for each in made if each["kind"] not in OPERATOR], tmp_path / str(number))
    done = run("deploy", "bin/kubernetes-validate", "--strict", "-k", version, *map(str, paths))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stdout + done.stderr


def test_the_schema_check_notices_a_misspelt_field(everything: dict[str, Objects], tmp_path: Path) -> None:
    made = deepcopy(workload(everything["helm default"]))
    made["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    done = run("deploy", "bin/kubernetes-validate", "--strict", "-k", "1.31", str(write([made], tmp_path)[0]))
    assert done.returncode != 0
    assert "livenessProb" in done.stdout + done.stderr


def operator_faults(made: Objects, folder: Path) -> list[str]:
    part = fetched("operator", "package.json").parent
    file = folder / "objects.json"
    file.write_text(json.dumps(made), encoding="utf-8")
    script = Path(__file__).parent / "operator.mjs"
    done = subprocess.run(
        [program("node"), str(script), str(part), str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    faults: list[str] = json.loads(done.stdout)
    return faults


def test_the_objects_of_the_prometheus_operator_fit_its_schemas(everything: dict[str, Objects], tmp_path: Path) -> None:
    made = [each for objects in everything.values() for each in of_kind(objects, *OPERATOR)]
    assert {each["kind"] for each in made} == set(OPERATOR)
    assert operator_faults(made, tmp_path) == []


def test_the_operators_schema_check_notices_a_wrong_value(everything: dict[str, Objects], tmp_path: Path) -> None:
    (made,) = of_kind(deepcopy(everything["helm prometheus-operator"]), "ServiceMonitor")
    made["spec"]["endpoints"][0]["interval"] = "30 seconds"
    assert len(operator_faults([made], tmp_path)) == 1


def typed_faults(made: Objects, folder: Path) -> str:
    """Return what TypeScript says, which knows every field by name where the schemas let others pass."""
    part = fetched("operator", "package.json").parent
    lines = []
    for number, each in enumerate(made):
        kind = each["kind"]
        module = f"@kubernetes-models/prometheus-operator/{each['apiVersion']}/{kind}"
        lines += [f'import type {{ I{kind} as K{number} }} from "{module}";']
    for number, each in enumerate(made):
        lines += [f"export const x{number}: K{number} = {json.dumps(each)};"]
    (folder / "node_modules").symlink_to(part / "node_modules")
    (folder / "check.mts").write_text("\n".join(lines), encoding="utf-8")
    compiler = fetched("grafana", "node_modules/typescript/bin/tsc")
    done = subprocess.run(
        [program("node"), str(compiler), "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext",
         "--moduleResolution", "nodenext", "--target", "es2022", "check.mts"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_no_field_of_the_prometheus_operators_objects_is_misspelt(
    everything: dict[str, Objects], tmp_path: Path
) -> None:
    made = [each for objects in everything.values() for each in of_kind(objects, *OPERATOR)]
    unique = {json.dumps(each, sort_keys=True): each for each in made if each["kind"] != "PrometheusRule"}
    unique["rule"] = of_kind(made, "PrometheusRule")[0]
    for folder in ("right", "wrong"):
        (tmp_path / folder).mkdir()
    assert typed_faults(list(unique.values()), tmp_path / "right") == ""
    (wrong,) = of_kind(deepcopy(everything["helm prometheus-operator"]), "ServiceMonitor")
    wrong["spec"]["endpoints"][0]["relabeling"] = []
    assert "relabeling" in typed_faults([wrong], tmp_path / "wrong")


# What is in it


def test_the_rules_are_those_of_the_rule_file_where_nothing_else_is_asked_for(everything: dict[str, Objects]) -> None:
    shipped = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    rules = {name: each["spec"] for name, made in everything.items() for each in of_kind(made, "PrometheusRule")}
    assert rules.pop("helm everything") != shipped
    assert len(rules) >= 4
    assert all(spec == shipped for spec in rules.values())


@pytest.mark.parametrize("name", ["helm production", "helm everything"])
def test_promtool_takes_the_rules(name: str, everything: dict[str, Objects], tmp_path: Path) -> None:
    checkers = list(generations("promtool").values()) or missing("promtool is not installed")
    (rule,) = of_kind(everything[name], "PrometheusRule")
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    done = subprocess.run([checkers[0], "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboards_arrive_as_they_are_shipped(everything: dict[str, Objects]) -> None:
    shipped = {path.name: json.loads(path.read_text("utf-8")) for path in (ROOT / "deploy/grafana").glob("*.json")}
    for name in ("kustomize production", "helm production"):
        labelled = [each for each in everything[name] if each["metadata"]["labels"].get("grafana_dashboard") == "1"]
        found = {file: json.loads(text) for each in labelled for file, text in each["data"].items()}
        assert found == shipped, name


def configuration(made: Objects) -> str:
    (found,) = [each["data"]["exporter.yaml"] for each in made if "exporter.yaml" in each.get("data", {})]
    text: str = found
    return text


def test_the_exporter_accepts_every_configuration_with_the_environment_around_it(
    everything: dict[str, Objects], tmp_path: Path
) -> None:
    for name, made in everything.items():
        container = workload(made)["spec"]["template"]["spec"]["containers"][0]
        environment = {each["name"]: each["value"] for each in container["env"] if each["name"].startswith("MILVUS_")}
        mounts = {each["mountPath"] for each in container["volumeMounts"]}
        for variable, value in environment.items():  # each file lies in a volume; none of them is there now
            if value.startswith("/"):
                assert str(Path(value).parent) in mounts, (name, variable)
                environment[variable] = str(tmp_path / Path(value).name)
                (tmp_path / Path(value).name).touch()
        text = configuration(made).replace("/etc/milvus-refresh-exporter/credentials", str(tmp_path))
        for secret in re.findall(rf"{tmp_path}/(\w+)", text):
            (tmp_path / secret).touch()
        (tmp_path / "exporter.yaml").write_text(text, encoding="utf-8")
        if "MILVUS_REFRESH_EXPORTER_SHARD__TOTAL" in environment:
            environment["MILVUS_REFRESH_EXPORTER_SHARD__INDEX"] = "0"  # the pod's name would tell
        (tmp_path / "web.yml").write_text(f"basic_auth_users: {{prometheus: {HASH}}}", encoding="utf-8")
        (tmp_path / "state.db").unlink(missing_ok=True)
        parser = argparse.ArgumentParser()
        add_flags(parser)
        namespace, unknown = parser.parse_known_args([])
        load(namespace, unknown, environment)


def test_every_pod_is_restricted_and_without_rights_in_the_cluster(everything: dict[str, Objects]) -> None:
    """Pod Security Standard `restricted`, and more than it asks for."""
    for name, made in everything.items():
        pods = [workload(made)["spec"]["template"]["spec"], *(each["spec"] for each in of_kind(made, "Pod"))]
        for pod in pods:
            assert pod["automountServiceAccountToken"] is False, name
            assert pod["enableServiceLinks"] is False, name
            assert pod["securityContext"]["runAsNonRoot"] is True, name
            assert pod["securityContext"]["runAsUser"] == 10001, name
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
            assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
            (container,) = pod["containers"]
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name
        for account in of_kind(made, "ServiceAccount"):
            assert account["automountServiceAccountToken"] is False, name
        assert of_kind(made, "Secret", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") == [], name


def test_secrets_are_mounted_as_folders_so_that_a_changed_one_arrives(everything: dict[str, Objects]) -> None:
    """A `subPath` or an environment variable would keep the old value until the pod ends."""
    for name, made in everything.items():
        pod = workload(made)["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert all("subPath" not in mount for mount in container["volumeMounts"]), name
        assert all("valueFrom" not in each for each in container["env"]), name
        assert "envFrom" not in container, name


def test_selectors_meet_the_pods_they_are_meant_for(everything: dict[str, Objects]) -> None:
    for name, made in everything.items():
        work = workload(made)
        labels = work["spec"]["template"]["metadata"]["labels"].items()
        chosen = {
            "workload": work["spec"]["selector"]["matchLabels"],
            "service": of_kind(made, "Service")[0]["spec"]["selector"],
            "policy": of_kind(made, "NetworkPolicy")[0]["spec"]["podSelector"]["matchLabels"],
            "budget": of_kind(made, "PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"],
        }
        for each in of_kind(made, "PodMonitor"):
            chosen["monitor"] = each["spec"]["selector"]["matchLabels"]
        for what, selector in chosen.items():
            assert selector.items() <= labels, (name, what)
        for each in of_kind(made, "ServiceMonitor"):
            service = of_kind(made, "Service")[0]["metadata"]["labels"].items()
            assert each["spec"]["selector"]["matchLabels"].items() <= service, name


def asked_for(rules: str) -> re.Pattern[str]:
    """Return the names of scrape jobs that alerts on missing targets ask for."""
    (found,) = set(re.findall(r'up\{job=~"([^"]*)"\}', rules))
    return re.compile(found.replace("\\\\", "\\"))


def test_the_alert_on_a_missing_exporter_knows_the_scrape_job(everything: dict[str, Objects]) -> None:
    asked = asked_for(RULES.read_text(encoding="utf-8"))
    for name, made in everything.items():
        for each in of_kind(made, "ServiceMonitor", "PodMonitor"):
            endpoints = each["spec"].get("endpoints") or each["spec"]["podMetricsEndpoints"]
            (job,) = [one["replacement"] for one in endpoints[0]["relabelings"] if one["targetLabel"] == "job"]
            assert asked.fullmatch(job), name
        assert name not in TARGETED or of_kind(made, "ServiceMonitor"), name


def test_targets_are_scraped_under_the_job_of_the_example(everything: dict[str, Objects]) -> None:
    """Apart from the process, whose job the alert on a missing exporter looks for."""
    example = yaml.safe_load((ROOT / "deploy/prometheus/many-milvus.example.yml").read_text("utf-8"))
    process, targets = example["scrape_configs"]
    for name in TARGETED:
        for each in of_kind(everything[name], "Probe"):
            assert each["spec"]["jobName"] == targets["job_name"]
            assert each["spec"]["prober"]["path"] == targets["metrics_path"]
        for each in of_kind(everything[name], "ScrapeConfig"):
            assert each["spec"]["metricsPath"] == targets["metrics_path"]
            *relabelings, namespace, job = each["spec"]["relabelings"]
            assert namespace == {"targetLabel": "namespace", "replacement": NAMESPACE}
            assert job == {"targetLabel": "job", "replacement": targets["job_name"]}
            known = {"source_labels": "sourceLabels", "target_label": "targetLabel"}
            assert relabelings == [
                {known.get(key, key): value for key, value in one.items()} for one in targets["relabel_configs"]
            ]
    assert process["job_name"] == "milvus-refresh"


def test_with_shards_each_pod_is_asked_for_its_own_targets(everything: dict[str, Objects]) -> None:
    made = everything["helm everything"]
    (scrape,), (service,) = of_kind(made, "ScrapeConfig"), of_kind(made, "Service")
    pods, name = workload(made)["spec"]["replicas"], workload(made)["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert workload(made)["spec"]["serviceName"] == service["metadata"]["name"]
    assert [each["url"] for each in scrape["spec"]["httpSDConfigs"]] == [
        f"https://{name}-{pod}.{service['metadata']['name']}.milvus.svc:19540/sd" for pod in range(pods)
    ]


def test_the_probe_asks_this_service_for_each_target(everything: dict[str, Objects]) -> None:
    for name in ("kustomize many-milvus", "helm many-milvus"):
        (probe,) = of_kind(everything[name], "Probe")
        (service,) = of_kind(everything[name], "Service")
        port = service["spec"]["ports"][0]["port"]
        assert probe["spec"]["prober"]["url"] == f"{service['metadata']['name']}.milvus.svc:{port}"
        targets = yaml.safe_load(configuration(everything[name]))["targets"]
        assert probe["spec"]["targets"]["staticConfig"]["static"] == sorted(targets)


# The guide


def examples(heading: str) -> list[str]:
    guide = (ROOT / "docs" / "deploy" / "kubernetes.md").read_text(encoding="utf-8")
    section = guide.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)


def test_the_guides_kustomization_makes_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "exporter.yaml").write_text("milvus: {uri: http://elsewhere:19530}\n", encoding="utf-8")
    (text,) = examples("Kustomize")
    (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
    made = kustomize(tmp_path)
    image = workload(made)["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.startswith("registry.example.com/milvus-refresh-exporter:")
    assert workload(made)["kind"] == "StatefulSet"
    assert "elsewhere" in configuration(made)


@pytest.mark.parametrize("heading", ["Helm", "Several Milvus"])
def test_the_guides_values_are_values_of_the_chart(heading: str, tmp_path: Path) -> None:
    (text,) = examples(heading)
    (tmp_path / "values.yaml").write_text(text, encoding="utf-8")
    assert of_kind(helm(tmp_path / "values.yaml"), "ServiceMonitor")
