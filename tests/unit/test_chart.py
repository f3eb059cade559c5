"""What is installed, without a cluster: values and their schema, manifests, their roles and settings, the image."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from aiops.app import chart_values
from aiops.app.granting import roles
from aiops.app.settings import Settings, load_settings
from aiops.core.policies import PolicySet
from aiops.errors import ConfigurationError, InvalidInput
from aiops.policy import load
from aiops.policy.crd import RESOURCES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "config/deploy"
CHART = DEPLOY / "chart"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
MANIFESTS = sorted((DEPLOY / "manifests").glob("*.yaml"))
WORKLOADS = ("Deployment", "Job")


def parsed(file: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(file.read_text(encoding="utf-8")) if one]


def merged(base: Any, over: Any) -> Any:
    """Return values as Helm merges them: mappings by key, everything else replaced."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}


def values(*changes: Mapping[str, Any]) -> Any:
    made = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for one in changes:
        made = merged(made, one)
    return made


def mistakes(given: Any) -> set[str]:
    """Return where the schema finds fault, by JSON pointer."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    return {
        "/".join(map(str, ["", *one.absolute_path])) for one in jsonschema.Draft7Validator(schema).iter_errors(given)
    }


# -- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [None, *CI], ids=lambda file: "defaults" if file is None else file.name)
def test_values_that_are_shipped_are_those_that_the_schema_takes(file: Path | None):
    assert mistakes(values({} if file is None else yaml.safe_load(file.read_text(encoding="utf-8")))) == set()


def test_it_begins_in_dry_run_with_every_value_known_to_the_schema():
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert values()["dryRun"] is True
    assert set(values()) == set(schema["properties"]) - {"global"}
    for name, value in values().items():
        known = schema["properties"][name]
        if isinstance(value, dict) and "properties" in known and known.get("additionalProperties") is False:
            assert set(value) == set(known["properties"]), name


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"replicaCount": 2}, "/replicaCount"),
        ({"replicaCount": 2}, "/postgresql/existingSecret"),
        ({"dryRun": False, "persistence": {"enabled": False}}, "/persistence/enabled"),
        ({"dryRun": "no"}, "/dryRun"),
        ({"dryrun": False}, ""),
        ({"mode": "observe"}, "/mode"),
        ({"prometheus": {"url": "prometheus:9090"}}, "/prometheus/url"),
        ({"settings": {"mode": "enforce"}}, "/settings/mode"),
        ({"settings": {"lease": {"replicas": 3}}}, "/settings/lease/replicas"),
        ({"settings": {"web": {"authentication": False}}}, "/settings/web/authentication"),
        ({"namespaced": {"enabled": True}}, "/namespaced/namespaces"),
        ({"policies": {"readme.md": "text"}}, "/policies"),
        ({"clusters": [{"name": "eu"}]}, "/clusters/0"),
        ({"image": {"digest": "sha256:1"}}, "/image/digest"),
        ({"uninstall": {"within": "soon"}}, "/uninstall/within"),
    ],
)
def test_bad_values_are_refused_where_they_stand(change: dict[str, Any], place: str):
    assert place in mistakes(values(change))


def test_values_of_policies_hold_their_files_and_what_they_need_beyond_what_the_chart_grants_s10():
    shipped = yaml.safe_load((CHART / "ci/shipped-values.yaml").read_text(encoding="utf-8"))
    settings = load_settings(CHART / "ci/shipped-settings.yaml")
    files = [ROOT / "policies" / name for name in shipped["policies"]]
    objects = roles(load(files), settings, None)
    made = chart_values.values(chart_values.texts(files), objects, settings.lease, settings.mode)
    assert made == shipped, "made anew by `make manifests`"
    without = roles(PolicySet(digest=""), settings, None)
    beyond = {name_of(one) for one in objects if "rules" in one} - {name_of(one) for one in without}
    suffixes = {(one.get("namespace", ""), f"aiops{one.get('suffix', '')}") for one in shipped["rbac"]["roles"]}
    assert {(namespace, name) for _, namespace, name in beyond} == suffixes


def test_two_files_of_one_name_are_no_values(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shop.yaml").write_text("")
    with pytest.raises(InvalidInput, match=r"b/shop\.yaml: another file has this name"):
        chart_values.texts([tmp_path / "a/shop.yaml", tmp_path / "b/shop.yaml"])


# -- manifests ---------------------------------------------------------------------------------------------------


def name_of(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(one["kind"]), str(one["metadata"].get("namespace", "")), str(one["metadata"]["name"])


def settings_in(objects: list[dict[str, Any]], folder: Path) -> Settings:
    text = next(one["data"]["aiops.yaml"] for one in objects if one["kind"] == "ConfigMap")
    file = folder / "aiops.yaml"
    file.write_text(text)
    return load_settings(file)


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_a_manifest_grants_what_the_daemon_of_its_settings_needs_and_no_more_s10(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    objects = parsed(file)
    secret = next((one for one in environment(objects) if one["name"] == "AIOPS_STORE__URL"), None)
    if secret is not None:
        monkeypatch.setenv("AIOPS_STORE__URL", "postgresql+psycopg://aiops:x@db/aiops")
    settings = settings_in(objects, tmp_path)
    wanted = roles(PolicySet(digest=""), settings, None)

    def plain(one: Mapping[str, Any]) -> Any:
        rules = [{key: sorted(rule[key]) for key in rule} for rule in one.get("rules", ())]
        return rules, one.get("roleRef"), one.get("subjects")

    kinds = {one["kind"] for one in wanted} | {"ClusterRole", "ClusterRoleBinding"}
    given = {name_of(one): plain(one) for one in objects if one["kind"] in kinds}
    assert given == {name_of(one): plain(one) for one in wanted}


def environment(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [env for one in objects for pod in pods(one) for box in pod["containers"] for env in box["env"]]


def pods(one: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if one["kind"] in WORKLOADS:
        yield one["spec"]["template"]["spec"]


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_pods_keep_to_the_strictest_pod_security_and_end_in_their_stages_s10(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIOPS_STORE__URL", "postgresql+psycopg://aiops:x@db/aiops")
    objects = parsed(file)
    stop = settings_in(objects, tmp_path).stop
    every = [pod for one in objects for pod in pods(one)]
    assert every
    for pod in every:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for box in pod["containers"]:
            security = box["securityContext"]
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
            writable = {one["mountPath"] for one in box["volumeMounts"] if not one.get("readOnly")}
            assert writable == {"/var/lib/aiops", "/tmp"}
        # ticks, models, books and the store, each as long as a tick may take; then the page, and the adapters
        assert pod["terminationGracePeriodSeconds"] >= 4 * stop.tick + stop.web + stop.adapters


def test_the_base_is_the_plain_manifest_and_overlays_set_the_settings_of_theirs():
    def config(objects: list[dict[str, Any]]) -> Any:
        return next(one["data"] for one in objects if one["kind"] == "ConfigMap")

    assert parsed(DEPLOY / "kustomize/base/aiops.yaml") == parsed(DEPLOY / "manifests/install.yaml")
    for name in ("namespaced", "ha"):
        overlay = DEPLOY / "kustomize/overlays" / name
        assert config(parsed(overlay / "settings.yaml")) == config(parsed(DEPLOY / f"manifests/install-{name}.yaml"))


def test_what_the_chart_shows_is_not_written_twice():
    assert (CHART / "crds").resolve() == DEPLOY / "crds"
    assert {one.name.partition(".")[0] for one in (CHART / "crds").glob("*.yaml")} == {one.plural for one in RESOURCES}
    assert (CHART / "files/aiops.rules.yaml").resolve() == ROOT / "config/alerts/aiops.rules.yaml"
    assert (CHART / "files/grafana").resolve() == ROOT / "config/grafana"
    links = [one for one in CHART.rglob("*") if one.is_symlink()]
    assert {one.name for one in links} == {"crds", "aiops.rules.yaml", "grafana"}


# -- settings ----------------------------------------------------------------------------------------------------


def test_several_replicas_without_a_shared_store_are_a_mistake_of_the_settings_s6(tmp_path: Path):
    file = tmp_path / "aiops.yaml"
    file.write_text("lease: {replicas: 2}\nstore: {url: 'sqlite:////var/lib/aiops/aiops.db'}\n")
    with pytest.raises(ConfigurationError, match=r"lease\.replicas is 2, and store\.url is a SQLite file") as caught:
        load_settings(file)
    assert caught.value.exit_code == 3
    file.write_text("lease: {replicas: 2}\nstore: {url: 'postgresql+psycopg://aiops@db/aiops'}\n")
    assert load_settings(file).lease.replicas == 2


def test_in_a_namespaced_cluster_nothing_of_the_whole_cluster_is_granted_s10(tmp_path: Path):
    file = tmp_path / "aiops.yaml"
    given = {
        "mode": "enforce",
        "clusters": {"default": {"in_cluster": True, "namespaced": True}},
        "custom_resources": {"enabled": True, "namespaces": ["shop"]},
    }
    file.write_text(json.dumps(given))
    checkout = load([ROOT / "policies/checkout.yaml"])
    made = roles(checkout, load_settings(file), None)
    assert {one["kind"] for one in made} == {"ServiceAccount", "Role", "RoleBinding"}
    wide = copy.deepcopy(given)
    wide["clusters"] = {"default": {"in_cluster": True}}
    file.write_text(json.dumps(wide))
    every = roles(checkout, load_settings(file), None)
    assert made == [one for one in every if not one["kind"].startswith("Cluster")]


# -- the image ---------------------------------------------------------------------------------------------------


def test_the_image_is_made_of_files_that_are_there_and_let_in():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    assert [one for one in copied if not (ROOT / one).exists()] == []
    assert ignored[0] == "*"
    assert [one for one in copied if f"!{one}" not in ignored] == []
    # the chart's links lead to what is copied with them
    assert all(one.resolve().is_relative_to(ROOT / "config") for one in CHART.rglob("*") if one.is_symlink())


def test_the_image_runs_as_nobody_compiled_and_as_the_chart_says():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    user = re.search(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    assert user is not None
    assert "--uid " + user[1] in text
    assert "-m compileall" in text
    pod = next(pod for one in parsed(DEPLOY / "manifests/install.yaml") for pod in pods(one))
    assert {pod["securityContext"]["runAsUser"], pod["securityContext"]["fsGroup"]} == {int(user[1])}
    assert re.search(r'^ENTRYPOINT \["aiops"\]$', text, re.MULTILINE)
    mounted = {one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    command = re.search(r"^CMD (.+)$", text, re.MULTILINE)
    assert command is not None
    assert json.loads(command[1])[-1] in mounted
    assert re.findall(r"^WORKDIR (.+)$", text, re.MULTILINE)[-1] in mounted
