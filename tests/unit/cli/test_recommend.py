"""`recommend` against a fake API server and a fake Prometheus: what is shown, asked and refused."""

import json

import pytest
import yaml

from rbg_autoscaler.cli.output import COLUMNS
from tests import builders as k8s
from tests.unit.cli.world import KV, WAITING, World, invoke

BUSY = {"metrics": [{"signal": "KVCacheUsage", "target": {"type": "AverageValue", "averageValue": "700m"}}]}


def loaded(world: World) -> World:
    """Prefill asks for 5 of 3; decode is as it should be."""
    world.serve(prefill=3, decode=4)
    world.load(WAITING, 12, 13, 13)
    world.load(KV, 0.7, 0.7, 0.7, 0.7, role="decode")
    return world


def both(name: str = "llm", **more):
    return k8s.autoscaler(name, k8s.scaled("prefill"), k8s.scaled("decode", **BUSY), **more)


def table(told) -> list[dict[str, str]]:
    head, *lines = [line.split() for line in told.stdout.splitlines()]
    assert tuple(head) == COLUMNS
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_the_table_shows_a_row_a_role_in_the_vocabulary(world):
    loaded(world).kube.put(both(mode="Auto"))
    prefill, decode = table(world.run("recommend"))
    assert prefill == {
        "NAMESPACE": "serving",
        "NAME": "llm",
        "ROLE": "prefill",
        "MODE": "Auto",
        "CURRENT": "3",
        "READY": "3",
        "PROPOSED": "5",
        "WANTED": "5",
        "GRANTED": "5",
        "LIMITER": "-",
        "REASON": "ValidMetricFound",
    }
    assert (decode["ROLE"], decode["CURRENT"], decode["GRANTED"]) == ("decode", "4", "4")


def test_it_only_reads(world):
    loaded(world).kube.put(both(mode="Auto"))
    assert world.run("recommend").exit_code == 0
    assert world.run("explain").exit_code == 0
    assert world.kube.requests
    assert world.kube.writes() == []


def test_wide_adds_each_metrics_value_and_target_and_the_message(world):
    loaded(world).kube.put(both())
    told = world.run("recommend", "-o", "wide").stdout
    assert "QueueLength 12.7/8" in told
    assert "KVCacheUsage 0.7/0.7" in told
    assert told.splitlines()[1].endswith("5 replicas")


def test_json_and_yaml_are_the_same_object(world):
    loaded(world).kube.put(both())
    first, second = (world.run("recommend", "-o", form).stdout for form in ("json", "yaml"))
    from_json, from_yaml = json.loads(first), yaml.safe_load(second)
    from_yaml["takenAt"] = from_json["takenAt"]
    assert from_json == from_yaml
    (item,) = from_json["items"]
    prefill = item["roles"][0]
    assert (item["changes"], prefill["name"], prefill["current"], prefill["granted"]) == (
        True,
        "prefill",
        3,
        5,
    )
    assert [step["stage"] for step in prefill["steps"]] == ["propose", "stabilise", "rate-limit", "bounds"]
    assert [(step["from"], step["to"]) for step in prefill["steps"]][:2] == [(3, 5), (5, 5)]


@pytest.mark.parametrize(("load", "code"), [((12, 13, 13), 3), ((8, 8, 8), 0)])
def test_exit_code_tells_whether_something_should_change(world, load, code):
    world.serve(prefill=3)
    world.load(WAITING, *load)
    world.kube.put(k8s.autoscaler())
    assert world.run("recommend", "--exit-code").exit_code == code
    assert world.run("recommend").exit_code == 0


def test_a_manifest_is_decided_in_a_cluster_that_knows_no_rbgautoscalers(bare_world):
    told = loaded(bare_world).run("recommend", "-f", bare_world.manifest())
    (row,) = table(told)
    assert (row["NAME"], row["CURRENT"], row["GRANTED"]) == ("trial", "3", "5")
    assert told.stderr == ""
    assert bare_world.kube.writes() == []


def test_without_a_manifest_such_a_cluster_gets_a_sentence(bare_world):
    told = bare_world.run("recommend")
    assert told.exit_code == 1
    assert told.stderr == (
        "Error: the cluster does not serve rbgautoscalers in autoscaling.rolebasedgroup.io/v1alpha1: none "
        "are read from the cluster; manifests can be given with -f\n"
    )


def test_manifests_come_from_standard_input_too(world):
    text = loaded(world).manifest().read_text()
    words = ["recommend", "-f", "-", "--kubeconfig", str(world.kubeconfig)]
    told = invoke(*words, "--prometheus-url", world.prometheus.url, stdin=text)
    assert [row["NAME"] for row in table(told)] == ["trial"]


def test_a_manifest_takes_the_place_of_the_clusters_own(world):
    """The edit of a policy: a maximum of 4 in the cluster, of 8 in the file. One of another name is noted."""
    loaded(world).kube.put(k8s.autoscaler("llm", k8s.scaled("prefill", high=4)))
    assert [row["GRANTED"] for row in table(world.run("recommend"))] == ["4"]
    edited = world.run("recommend", "-f", world.manifest("llm", k8s.scaled("prefill", high=8)))
    assert [(row["NAME"], row["GRANTED"]) for row in table(edited)] == [("llm", "5")]
    assert edited.stderr == ""
    other = world.run("recommend", "-f", world.manifest("trial"))
    assert [row["NAME"] for row in table(other)] == ["trial"]
    assert "serving/llm scales the group of serving/trial at present" in other.stderr


def test_a_manifest_of_the_same_name_is_decided_with_the_memory_in_the_clusters_status(world):
    """The status remembers that 6 replicas were asked for within the window, so nothing falls to 3."""
    world.serve(decode=4)
    world.load(KV, 0.4, 0.4, 0.4, 0.4, role="decode")
    role = k8s.scaled("decode", **BUSY)
    memory = {"name": "decode", "memory": {"recommendedMax": 6}}
    status = {"targetUid": "uid-llm", "roles": [memory]}
    world.kube.put(k8s.autoscaler("llm", role) | {"status": status})
    for words in (["recommend"], ["recommend", "-f", world.manifest("llm", role)]):
        told = world.run(*words, "-o", "json")
        (step,) = [
            s for s in json.loads(told.stdout)["items"][0]["roles"][0]["steps"] if s["stage"] == "stabilise"
        ]
        assert (step["from"], step["to"]) == (3, 6)
        assert told.stderr == ""


def test_a_hold_for_want_of_memory_is_told(world):
    world.serve(decode=4)
    world.load(KV, 0.4, 0.4, 0.4, 0.4, role="decode")
    world.kube.put(k8s.autoscaler("llm", k8s.scaled("decode", **BUSY)))
    told = world.run("recommend")
    assert [(row["PROPOSED"], row["LIMITER"]) for row in table(told)] == [("3", "stabilise")]
    assert told.stderr.startswith("Note: no earlier recommendations are known for serving/llm decode")


def test_names_choose_and_an_unknown_one_is_answered_with_those_there_are(world):
    for name in ("a", "b"):
        world.serve(name, prefill=1)
        world.kube.put(k8s.autoscaler(name, target=name))
    world.load(WAITING, 8, name="a")
    assert [row["NAME"] for row in table(world.run("recommend", "b"))] == ["b"]
    told = world.run("recommend", "c")
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == "Error: no RbgAutoscaler c in namespace serving; there are: a, b\n"


def test_all_namespaces(world):
    loaded(world).kube.put(both())
    world.kube.put(k8s.autoscaler("lost", target="gone", meta={"namespace": "other"}))
    rows = table(world.run("recommend", "-A"))
    assert [(row["NAMESPACE"], row["NAME"]) for row in rows] == [
        ("other", "lost"),
        ("serving", "llm"),
        ("serving", "llm"),
    ]
    assert [row["NAMESPACE"] for row in table(world.run("recommend", "-n", "other"))] == ["other"]


def test_what_takes_part_in_nothing_has_a_row_with_its_reason(world):
    world.kube.put(k8s.autoscaler("bad", k8s.scaled("prefill", low=9, high=3)))
    world.kube.put(k8s.autoscaler("lost", target="gone"))
    bad, lost = table(world.run("recommend"))
    assert (bad["ROLE"], bad["MODE"], bad["REASON"]) == ("-", "-", "InvalidSpec")
    assert (lost["MODE"], lost["CURRENT"], lost["REASON"]) == ("Recommend", "-", "TargetNotFound")


def test_an_empty_namespace_is_told_and_json_has_no_items(world):
    told = world.run("recommend", "-n", "empty")
    assert (told.exit_code, told.stdout, told.stderr) == (0, "", "Note: no RbgAutoscaler is there\n")
    assert json.loads(world.run("recommend", "-n", "empty", "-o", "json").stdout)["items"] == []


def test_an_unreachable_cluster_is_one_sentence(world, tmp_path):
    dead = tmp_path / "dead"
    dead.write_text(world.kubeconfig.read_text().replace(world.kube.url, "http://127.0.0.1:9"))
    told = invoke("recommend", "--kubeconfig", str(dead), "--prometheus-url", world.prometheus.url)
    assert told.exit_code == 1
    assert told.stderr.startswith("Error: the cluster cannot be reached: ")
    assert len(told.stderr.splitlines()) == 1


def test_no_kubeconfig_is_one_sentence(world, tmp_path):
    words = ["recommend", "--kubeconfig", str(tmp_path / "none"), "--prometheus-url", world.prometheus.url]
    told = invoke(*words)
    assert told.exit_code == 1
    assert told.stderr.startswith("Error: there is no usable kubeconfig: ")


def test_an_unreachable_prometheus_is_one_sentence(world):
    loaded(world).kube.put(both())
    told = world.run("recommend", "--prometheus-url", "http://127.0.0.1:9", prometheus=False)
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr.startswith("Error: metrics source default at http://127.0.0.1:9: ")
    assert len(told.stderr.splitlines()) == 1


def test_a_prometheus_that_refuses_credentials_is_told_in_its_words(world):
    loaded(world).kube.put(both())
    world.prometheus.status = 401
    told = world.run("recommend")
    assert told.exit_code == 1
    assert "the server does not accept these credentials" in told.stderr


def test_a_missing_series_holds_its_role_and_is_no_outage(world):
    loaded(world).kube.put(both())
    del world.prometheus.answers[KV]
    told = world.run("recommend", "-o", "json")
    assert told.exit_code == 0
    prefill, decode = json.loads(told.stdout)["items"][0]["roles"]
    assert (prefill["granted"], decode["granted"], decode["proposed"]) == (5, 4, None)
    assert decode["metrics"][0]["state"] == "NoSeries"
    assert decode["metrics"][0]["value"] is None


def test_a_kind_that_may_not_be_listed_is_a_note(world):
    from tests.fakes.kube_server import Fault

    loaded(world).kube.put(both())
    world.kube.faults.append(Fault(path="horizontalpodautoscalers", status=403, reason="Forbidden"))
    told = world.run("recommend")
    assert told.exit_code == 0
    assert told.stderr == "Note: injected 403: other autoscalers of the same role are not seen\n"
    world.kube.faults.append(Fault(path="rolebasedgroups", status=403, reason="Forbidden"))
    told = world.run("recommend")
    assert (told.exit_code, told.stderr) == (1, "Error: injected 403: no target can be found\n")


def test_which_prometheus_is_asked(world, tmp_path):
    """The option, else the settings file (its address replaced by the option's), else the environment."""
    loaded(world).kube.put(both())
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({"sources": {"default": {"url": world.prometheus.url}}}))
    away = tmp_path / "away.yaml"
    away.write_text(yaml.safe_dump({"sources": {"default": {"url": "http://127.0.0.1:9"}}}))
    env = {"RBG_AUTOSCALER_PROMETHEUS_URL": world.prometheus.url}
    for words, more in (
        (["--config", settings], {}),
        (["--config", away, "--prometheus-url", world.prometheus.url], {}),
        ([], env),
        (["--config", settings], {"RBG_AUTOSCALER_PROMETHEUS_URL": "http://127.0.0.1:9"}),
    ):
        told = world.run("recommend", *words, prometheus=False, env=more)
        assert (told.exit_code, [row["GRANTED"] for row in table(told)]) == (0, ["5", "4"])
    told = world.run("recommend", prometheus=False)
    assert told.exit_code == 2
    assert "which Prometheus? Give --prometheus-url URL" in told.stderr


def test_an_autoscalers_source_that_the_settings_do_not_define_is_missing(world, tmp_path):
    loaded(world).kube.put(both(metricsSource="thanos"))
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({"sources": {"default": {"url": world.prometheus.url}}}))
    told = json.loads(world.run("recommend", "--config", settings, "-o", "json", prometheus=False).stdout)
    assert told["items"][0]["roles"][0]["metrics"][0]["state"] == "UnknownSource"
    told = json.loads(world.run("recommend", "-o", "json").stdout)  # an address alone serves every key
    assert told["items"][0]["roles"][0]["metrics"][0]["state"] == "Valid"


def test_the_settings_defaults_count(world, tmp_path):
    """12.7 over 8 is a ratio of 1.58: within a tolerance of 0.6 nothing changes."""
    loaded(world).kube.put(both())
    settings = tmp_path / "settings.yaml"
    text = {"sources": {"default": {"url": world.prometheus.url}}, "decide": {"tolerance": 0.6}}
    settings.write_text(yaml.safe_dump(text))
    told = world.run("recommend", "--config", settings, prometheus=False)
    assert [row["GRANTED"] for row in table(told)] == ["3", "4"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-A", "-n", "x"], "-A and -n exclude each other"),
        (["-A", "llm"], "give -n instead of -A"),
        (["-A", "-f", "x.yaml"], "-f and -A exclude each other"),
        (["--snapshot", "x.json", "--prometheus-url", "http://p"], "--snapshot and --prometheus-url exclude"),
        (["--snapshot", "x.json", "--watch"], "--snapshot and --watch exclude"),
        (["--prometheus-url", "p:9090"], "--prometheus-url: must be http://host"),
        (["--config", "none.yaml"], "none.yaml cannot be read"),
        (["--snapshot", "none.json"], "none.json: cannot be read"),
        (["--watch", "--interval", "0s"], "give 5s or 1m"),
        (["-o", "xml"], "'xml' is not one of"),
    ],
)
def test_wrong_options_are_usage_with_the_mend(words, said):
    told = invoke("recommend", *words)
    assert told.exit_code == 2
    assert said in told.stderr
