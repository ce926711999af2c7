"""A saved decision input is read back to the last bit and decides the same; a foreign file is told apart."""

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rbg_autoscaler.api.types import ObjectKey, RbgAutoscalerSpec
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decide import decide
from rbg_autoscaler.decide.memory import HeldDecision, Memory, Recommendation, RoleMemory
from rbg_autoscaler.decide.snapshot import Missing, RoleView, Sample
from rbg_autoscaler.observe.codec import decode, encode
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.snapshot_file import SavedInput, SnapshotFileError, dumps, load, loads, save
from rbg_autoscaler.observe.snapshots import build_snapshot
from rbg_autoscaler.observe.store import ClusterStore
from tests import builders as k8s

LLM = ObjectKey(k8s.NAMESPACE, "llm")


def saved_input(queue_milli: int = 60_000, age: float = 0.5) -> SavedInput:
    """Two roles, prefill with a queue and decode without any series, a remembered past."""
    store = ClusterStore()
    roles = [k8s.role("prefill", 2, adapter=True), k8s.role("decode", 3)]
    for kind, obj in (
        (Kind.ROLE_BASED_GROUP, k8s.group("llm", *roles)),
        (Kind.SCALING_ADAPTER, k8s.adapter(replicas=2)),
        (Kind.ROLE_INSTANCE_SET, k8s.instance_set(replicas=2)),
        (Kind.ROLE_INSTANCE_SET, k8s.instance_set(role_name="decode", replicas=3)),
        *((Kind.POD, k8s.pod(n, ready=5)) for n in range(2)),
        (Kind.RBG_AUTOSCALER, k8s.autoscaler("llm", k8s.scaled("prefill"), k8s.scaled("decode"))),
        (Kind.RBG_AUTOSCALER, k8s.autoscaler("bad", k8s.scaled("prefill", low=9, high=1))),
    ):
        store.apply(kind, obj)
    sample = Sample({"llm-prefill-0": queue_milli, "llm-prefill-1": 0}, age, reporting=2, expected=2)
    readings = {LLM: {"prefill": (sample,), "decode": (Missing("NoSeries", "no series of decode"),)}}
    now = k8s.EPOCH + 100
    memory = RoleMemory(recommendations=(Recommendation(now - 30, 4),), written=2, written_at=now - 40)
    return SavedInput(build_snapshot(store, readings, now), Memory({(LLM, "prefill"): memory}), now)


def decided(given_input: SavedInput) -> str:
    outcome = decide(given_input.snapshot, given_input.memory, given_input.now, given_input.config)
    return json.dumps(encode(outcome))


@pytest.mark.parametrize("name", ["snapshot.json", "snapshot.json.gz"])
def test_a_file_gives_back_what_was_saved_and_is_the_same_each_time(tmp_path, name):
    saved = replace(saved_input(), config=DecideConfig(tolerance=0.2))
    save(tmp_path / name, saved)
    first = (tmp_path / name).read_bytes()
    save(tmp_path / name, load(tmp_path / name))
    assert load(tmp_path / name) == saved
    assert (tmp_path / name).read_bytes() == first


@given(st.integers(0, 10**7), st.floats(0, 1e6))
@settings(max_examples=25)
def test_deciding_again_from_the_file_gives_the_same_bytes(queue_milli, age):
    saved = saved_input(queue_milli, age)
    assert decided(loads(dumps(saved))) == decided(saved)


@pytest.mark.parametrize(
    "part", [RbgAutoscalerSpec, RoleView, Sample, Missing, RoleMemory, HeldDecision, DecideConfig]
)
@given(st.data())
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_any_part_at_all_survives(part, data):
    """Texts compared, since NaN does not equal itself."""
    text = json.dumps(encode(data.draw(st.from_type(part))))
    assert json.dumps(encode(decode(part, json.loads(text)))) == text


def test_a_field_that_came_later_gets_its_default():
    data = json.loads(dumps(saved_input()))
    del data["config"]["tolerance"]
    del data["snapshot"]["autoscalers"][1]["group"]["roles"][0]["unmet_dependencies"]
    assert loads(json.dumps(data)) == saved_input()


def test_foreign_files_are_told_apart(tmp_path):
    whole = json.loads(dumps(saved_input()))
    pod = json.dumps({"kind": "Pod"})
    newer = json.dumps(whole | {"version": 2})
    odd = json.dumps(whole | {"now": "noon"})
    unknown = json.dumps(whole | {"weather": "fine"})
    lacking = json.dumps({key: value for key, value in whole.items() if key != "memory"})
    for text, why in (
        ("not json", "not JSON"),
        ("[]", "not a saved snapshot"),
        (pod, "not a saved snapshot"),
        (newer, "format version 2: this program reads version 1"),
        (odd, "now: 'noon' is no float"),
        (unknown, "unknown field 'weather': it was written by another version"),
        (lacking, "field 'memory' is missing"),
    ):
        (tmp_path / "f").write_text(text)
        with pytest.raises(SnapshotFileError, match=why):
            load(tmp_path / "f")


def test_a_damaged_gzip_file_is_said(tmp_path):
    path = tmp_path / "snapshot.json.gz"
    save(path, saved_input())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SnapshotFileError, match=r"snapshot\.json\.gz"):
        load(path)


def test_an_error_deep_inside_names_its_path():
    data = json.loads(dumps(saved_input()))
    data["snapshot"]["autoscalers"][1]["group"]["roles"][0]["instances"][1]["phase"] = "Sleeping"
    place = r"snapshot\.autoscalers\[1\]\.group\.roles\[0\]\.instances\[1\]\.phase"
    with pytest.raises(SnapshotFileError, match=f"{place}: 'Sleeping' is none of"):
        loads(json.dumps(data))
