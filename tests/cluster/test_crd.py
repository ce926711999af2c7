"""The CRD on a real API server: it admits, completes and refuses as the parser does, in its words."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from localplane.kube import Kube, KubeError, path
from localplane.plane import LocalPlane

from rbg_autoscaler.api.parse import InvalidSpec, parse_autoscaler
from rbg_autoscaler.api.schema import COLUMNS, crd
from rbg_autoscaler.api.types import GROUP, KIND, PLURAL, VERSION
from tests.unit.api.samples import BAD, Bad, broken, full, places
from tests.unit.api.test_status_shape import full_status

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CRD_PATH = path("apiextensions.k8s.io/v1", "customresourcedefinitions", name=f"{PLURAL}.{GROUP}")


def collection(namespace: str) -> str:
    return path(f"{GROUP}/{VERSION}", PLURAL, namespace)


def refusal(kube: Kube, namespace: str, obj: Any) -> str | None:
    """The API server's words, or None where it would admit the object."""
    try:
        kube.create(collection(namespace), obj, fieldValidation="Strict", dryRun="All")
    except KubeError as error:
        if error.status not in (400, 422):
            raise
        return error.message
    return None


def parser_refuses(obj: Any) -> bool:
    try:
        parse_autoscaler(obj)
    except InvalidSpec:
        return True
    return False


@pytest.fixture(scope="module")
def shared(plane: LocalPlane) -> Iterator[tuple[Kube, str]]:
    """One client and namespace for the many objects that are only held against the schema."""
    kube = Kube(plane.kubeconfig)
    kube.create(path("v1", "namespaces"), {"metadata": {"name": "crd"}})
    yield kube, "crd"
    kube.delete(path("v1", "namespaces", name="crd"))
    kube.close()


def test_the_crd_is_established_and_structural(kube: Kube) -> None:
    present = kube.get(CRD_PATH)
    conditions = {entry["type"]: entry["status"] for entry in present["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert "NonStructuralSchema" not in conditions
    (made,), (kept,) = crd()["spec"]["versions"], present["spec"]["versions"]
    assert kept["schema"]["openAPIV3Schema"]["properties"] == made["schema"]["openAPIV3Schema"]["properties"]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_the_api_server_refuses_it_too(shared: tuple[Kube, str], bad: Bad) -> None:
    said = refusal(*shared, broken(bad))
    if bad.server is None:
        assert said is None
    else:
        assert said is not None
        assert (bad.server or bad.says) in said


def variants() -> Iterator[tuple[str, Any]]:
    """The full example with one value replaced by an odd one, or taken out: some 1 000 objects."""
    odd = (None, "", "x", "-1", "0.5", "2", 0, 1, 20, 10**6, 0.5, True, [], {}, "x" * 5000)

    for way in sorted(set(places(full()["spec"])) - {()}, key=str):
        for value in (*odd, KeyError):
            obj = full()
            holder = obj["spec"]
            for key in way[:-1]:
                holder = holder[key]
            if value is KeyError:
                del holder[way[-1]]
            else:
                holder[way[-1]] = copy.deepcopy(value)
            yield f"{way} = {value!r:.40}", obj


def test_parser_and_api_server_agree_about_every_field(shared: tuple[Kube, str]) -> None:
    tried, admitted, apart = 0, 0, []
    for name, obj in variants():
        said = refusal(*shared, obj)
        tried, admitted = tried + 1, admitted + (said is None)
        if parser_refuses(obj) != (said is not None):
            apart.append(f"{name}: API server {said or 'admits'}")
    assert tried > 800
    assert admitted > 50
    assert apart == []


GOOD = f"8 +8 8. .5 0.5 1e3 1E3 1E 1Ei 1e-99 1e99 1n 08 {'9' * 40} {'0' * 39}1".split()
WRONG = f"-8 0 0.0 0e3 -0 1e100 1e1.5 1K 1kk 1_0 e3 \u0668 {'9' * 41}".split()
QUANTITIES = (*GOOD, *WRONG, "", " 8", "8 ", "8\n", 1, 2**62, 2**63, -1, 0, 0.5, None, True)


@pytest.mark.parametrize("value", QUANTITIES, ids=repr)
@pytest.mark.parametrize("where", ["target", "tolerance", "ratio"])
def test_parser_and_api_server_agree_about_quantities(
    shared: tuple[Kube, str], where: str, value: Any
) -> None:
    obj = full()
    prefill = obj["spec"]["roles"][0]
    if where == "target":
        prefill["metrics"][0]["target"]["averageValue"] = value
    elif where == "tolerance":
        prefill["behavior"]["scaleUp"]["tolerance"] = value
    else:  # with counts wide enough for any ratio, so that only the two quantities are judged
        pair = {"numerator": "decode", "denominator": "prefill"}
        obj["spec"]["coordination"] = [{**pair, "minRatio": "1n", "maxRatio": value}]
        prefill["maxReplicas"] = 10_000
    said = refusal(*shared, obj)
    assert parser_refuses(obj) == (said is not None), said


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_examples_are_admitted(shared: tuple[Kube, str], file: Path) -> None:
    for obj in yaml.safe_load_all(file.read_text()):
        obj["metadata"].pop("namespace", None)
        assert refusal(*shared, obj) is None


@pytest.mark.parametrize("which", ["full", "first"])
def test_what_comes_back_parses_to_the_same_spec(kube: Kube, namespace: str, which: str) -> None:
    obj = full() if which == "full" else yaml.safe_load((EXAMPLES / "first.yaml").read_text())
    obj["metadata"] = {"name": "deepseek"}
    created = kube.create(collection(namespace), obj, fieldValidation="Strict")
    assert parse_autoscaler(created) == parse_autoscaler(obj)


def test_defaults_are_filled_in(kube: Kube, namespace: str) -> None:
    metric = {"signal": "QueueLength", "target": {"type": "AverageValue", "averageValue": 8}}
    role = {"name": "server", "maxReplicas": 4, "metrics": [metric], "behavior": {}, "gangStep": None}
    obj = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": "least"},
        "spec": {"targetRef": {"name": "llm"}, "roles": [role]},
    }
    created = kube.create(collection(namespace), obj)
    fifteen = {"periodSeconds": 15}
    assert created["spec"] == {
        "targetRef": {"name": "llm"},
        "mode": "Recommend",
        "engine": "vllm",
        "metricsSource": "default",
        "hpaExact": False,
        "roles": [
            {
                "name": "server",
                "minReplicas": 1,
                "maxReplicas": 4,
                "gangStep": 1,
                "metrics": [{**metric, "type": "Signal"}],
                "startUp": {"deadlineSeconds": 600, "settleSeconds": 60},
                "behavior": {
                    "scaleUp": {
                        "selectPolicy": "Max",
                        "stabilizationWindowSeconds": 0,
                        "policies": [
                            {"type": "Pods", "value": 4, **fifteen},
                            {"type": "Percent", "value": 100, **fifteen},
                        ],
                    },
                    "scaleDown": {
                        "selectPolicy": "Max",
                        "policies": [{"type": "Percent", "value": 100, **fifteen}],
                    },
                },
            }
        ],
    }
    assert parse_autoscaler(created) == parse_autoscaler(obj)


def test_the_target_cannot_be_changed_the_rest_can(kube: Kube, namespace: str) -> None:
    kube.create(collection(namespace), full())
    where = f"{collection(namespace)}/deepseek"
    assert kube.patch(where, {"spec": {"mode": "Paused"}})["metadata"]["generation"] == 2
    with pytest.raises(
        KubeError, match="targetRef cannot be changed: make another RbgAutoscaler for another group"
    ):
        kube.patch(where, {"spec": {"targetRef": {"name": "other"}}})


def test_appliers_of_different_roles_do_not_disturb_each_other(kube: Kube, namespace: str) -> None:
    obj = full()
    where = f"{collection(namespace)}/deepseek"
    first, second = copy.deepcopy(obj), copy.deepcopy(obj)
    del first["spec"]["coordination"], first["spec"]["roles"][1]
    second["spec"] = {"targetRef": obj["spec"]["targetRef"], "roles": [obj["spec"]["roles"][1]]}
    kube.apply(where, first, field_manager="one")
    both = kube.apply(where, second, field_manager="two")
    assert [role["name"] for role in both["spec"]["roles"]] == ["prefill", "decode"]


def test_a_status_is_kept_whole_and_beside_the_spec(kube: Kube, namespace: str) -> None:
    obj = full()
    created = kube.create(collection(namespace), {**obj, "status": full_status()})
    assert "status" not in created
    where = f"{collection(namespace)}/deepseek"
    written = kube.patch(
        f"{where}/status", {"spec": {"mode": "Paused"}, "status": full_status()}, fieldValidation="Strict"
    )
    assert written["status"] == full_status()
    assert written["spec"]["mode"] == obj["spec"]["mode"]
    assert written["metadata"]["generation"] == created["metadata"]["generation"]


def test_kubectl_get_shows_these_columns(kube: Kube, namespace: str) -> None:
    kube.create(collection(namespace), full())
    kube.patch(f"{collection(namespace)}/deepseek/status", {"status": full_status()})
    answer = kube._session.get(
        kube.server + collection(namespace),
        headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"},
    ).json()
    names = [column["name"] for column in answer["columnDefinitions"]]
    assert names == ["Name", *(column["name"] for column in COLUMNS)]
    shown = dict(zip(names, answer["rows"][0]["cells"], strict=True))
    assert (shown["Target"], shown["Mode"], shown["Roles"]) == ("deepseek", "Auto", "prefill 3->5, decode 8")
    assert (shown["Limited"], shown["Ready"], shown["Reason"]) == ("True", "True", "AsExpected")
    discovered = kube.get(f"/apis/{GROUP}/{VERSION}")["resources"]
    (resource,) = (entry for entry in discovered if entry["name"] == PLURAL)
    assert (resource["shortNames"], resource["categories"]) == (["rbga"], ["autoscaling"])


def test_a_crd_without_the_bounds_would_be_refused(kube: Kube) -> None:
    """The bounds are what keeps the rules affordable: proof that the API server counts them."""
    unbounded = crd()
    spec = unbounded["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    roles = spec["properties"]["roles"]
    del roles["maxItems"], roles["items"]["properties"]["metrics"]["maxItems"]
    with pytest.raises(KubeError, match="exceed"):
        kube.replace(CRD_PATH, {**unbounded, "metadata": kube.get(CRD_PATH)["metadata"]}, dryRun="All")
