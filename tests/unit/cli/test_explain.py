"""`explain`: the outcome first, then what is wrong, then the chain of every role."""

import json
import re

import pytest
import yaml

from tests import builders as k8s
from tests.unit.cli.world import KV, WAITING, World, invoke

BUSY = {"metrics": [{"signal": "KVCacheUsage", "target": {"type": "AverageValue", "averageValue": "700m"}}]}


def held(world: World) -> World:
    """Prefill asks for 5 of 3 but may have 4; of decode's four instances one is silent."""
    world.serve(prefill=3, decode=4)
    world.load(WAITING, 12, 13, 13)
    world.load(KV, 0.5, 0.5, 0.5, role="decode")
    roles = k8s.scaled("prefill", high=4), k8s.scaled("decode", **BUSY)
    world.kube.put(k8s.autoscaler("llm", *roles))
    return world


def test_the_outcome_comes_first_then_what_is_wrong(world):
    lines = held(world).run("explain", "llm").stdout.splitlines()
    assert re.fullmatch(r"RbgAutoscaler serving/llm, decided at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", lines[0])
    assert lines[1] == "scales RoleBasedGroup llm: mode Recommend, engine vllm, metrics source default"
    assert lines[3] == "prefill  3 -> 4  (3 ready, limited by bounds)"
    assert lines[4] == "         4 instead of 5: maxReplicas is 4"
    assert lines[5].startswith("decode   4  (4 ready")
    first_trouble = next(line for line in lines if line.startswith("! "))
    assert first_trouble.startswith("! ScalingLimited True: TooManyReplicas: role prefill: ")
    assert lines.index(first_trouble) < lines.index(
        "role prefill: current 3, ready 3, proposed 5, wanted 4, granted 4"
    )


def test_each_stage_has_its_number_and_its_reason(world):
    told = held(world).run("explain").stdout
    block = told[told.index("role prefill") : told.index("role decode")]
    stages = re.findall(r"^  ([a-z-]+) +(\d+(?: -> \d+)?) +(\w+): ", block, re.MULTILINE)
    assert stages == [
        ("propose", "3 -> 5", "ValidMetricFound"),
        ("stabilise", "5", "ReadyForNewScale"),
        ("rate-limit", "5", "DesiredWithinRange"),
        ("bounds", "5 -> 4", "TooManyReplicas"),
    ]


def test_each_metric_has_value_target_coverage_and_age(world):
    told = held(world).run("explain", "llm").stdout
    assert re.search(r"^  QueueLength +12\.7 +8 +5 +3 of 3 +4 s$", told, re.MULTILINE)
    assert re.search(r"^  KVCacheUsage +0\.5 +0\.7 +\d+ +3 of 4 +4 s$", told, re.MULTILINE)
    assert "      not reporting: 1 NoSeries" in told


def test_a_missing_metric_says_why_and_is_no_number(world):
    held(world).prometheus.answers.pop(KV)
    told = world.run("explain", "llm").stdout
    assert re.search(r"^  KVCacheUsage +NoSeries +0\.7 +- +- +-$", told, re.MULTILINE)
    assert "! ScalingActive False" in told or "! Ready False, ScalingActive False" in told
    assert "vllm:kv_cache_usage_perc" in told


def test_what_takes_part_in_nothing_says_why(world):
    world.kube.put(k8s.autoscaler("lost", target="gone"))
    told = world.run("explain").stdout
    assert "RoleBasedGroup serving/gone does not exist:\n  check spec.targetRef.name" in told
    world.kube.put(k8s.autoscaler("lost", k8s.scaled("prefill", low=9, high=3), meta={"version": "2"}))
    assert "! Ready False, ScalingActive False: InvalidSpec: spec.roles[0]" in world.run("explain").stdout


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal(world, width):
    from rbg_autoscaler.cli.explain_text import explain_text
    from rbg_autoscaler.cli.gather import decided_again
    from rbg_autoscaler.cli.report import report_of

    file = world.folder / "s.json"
    assert held(world).run("explain", "--save-snapshot", file).exit_code == 0
    report = report_of(decided_again(file))
    text = explain_text(report.items[0], report.taken_at, width)
    assert max(map(len, text.splitlines())) <= width


def test_json_and_yaml_are_the_item_of_recommend(world):
    file = held(world).folder / "s.json.gz"
    listed = json.loads(world.run("recommend", "-o", "json", "--save-snapshot", file).stdout)
    assert json.loads(invoke("explain", "--snapshot", str(file), "-o", "json").stdout) == listed["items"][0]
    assert (
        yaml.safe_load(invoke("explain", "--snapshot", str(file), "-o", "yaml").stdout) == listed["items"][0]
    )


def test_without_a_name_there_must_be_one_only(world):
    world.kube.put(k8s.autoscaler("a", target="gone"))
    world.kube.put(k8s.autoscaler("b", target="gone-too"))
    told = world.run("explain")
    assert told.exit_code == 2
    assert "which one? There are: serving/a, serving/b" in told.stderr
    assert world.run("explain", "b").exit_code == 0
    missing = world.run("explain", "c")
    assert (missing.exit_code, missing.stderr) == (
        1,
        "Error: no RbgAutoscaler c in namespace serving; there are: a, b\n",
    )


def test_a_manifest_is_explained_without_being_applied(bare_world):
    bare_world.serve(prefill=3)
    bare_world.load(WAITING, 12, 13, 13)
    told = bare_world.run("explain", "-f", bare_world.manifest())
    assert "prefill  3 -> 5  (3 ready)" in told.stdout
    assert bare_world.kube.writes() == []
