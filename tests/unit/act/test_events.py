"""Events: a state is told when it begins, an act each time it is done, and nothing at rest."""

import pytest

from rbg_autoscaler.act.events import QUIET_SECONDS, EventWriter, Note
from rbg_autoscaler.act.scale import Outcome, Result
from rbg_autoscaler.api.types import Mode, ObjectKey, RbgAutoscalerSpec
from rbg_autoscaler.decide.decision import Condition, Decision, RoleDecision
from rbg_autoscaler.decide.snapshot import AutoscalerView
from rbg_autoscaler.kube.client import KubernetesApi
from tests.fakes.kube_server import FakeKube

KEY = ObjectKey("ns", "ds")
MISSING = Condition("MetricsAvailable", "False", "TimedOut", "no answer within its timeout")


def decided(*conditions):
    return Decision(KEY, "uid-1", 1, (), conditions)


def outcome(result, granted=5, message=""):
    role = RoleDecision("decode", 2, 2, granted, granted, granted, None, "R", "above target", (), (), ())
    return Outcome(role, result, message)


@pytest.fixture
def writer():
    return EventWriter(None)


def told(writer, at, *conditions, outcomes=()):
    return [note.reason for note in writer.news(KEY, decided(*conditions), outcomes, at)]


def test_a_state_is_told_once_however_long_it_lasts(writer):
    assert told(writer, 0, MISSING) == ["TimedOut"]
    for at in range(5, 2 * int(QUIET_SECONDS), 5):
        assert told(writer, at, MISSING) == []


def test_a_state_that_comes_and_goes_is_told_again_only_after_the_quiet_time(writer):
    assert told(writer, 0, MISSING) == ["TimedOut"]
    assert told(writer, 5) == []
    assert told(writer, 10, MISSING) == []
    assert told(writer, 15) == []
    last_seen = 10 + QUIET_SECONDS - 1
    assert told(writer, last_seen, MISSING) == []
    assert told(writer, last_seen + QUIET_SECONDS) == []
    assert told(writer, last_seen + QUIET_SECONDS + 5, MISSING) == ["TimedOut"]


def test_another_cause_of_the_same_condition_is_told(writer):
    assert told(writer, 0, MISSING) == ["TimedOut"]
    assert told(writer, 5, Condition("MetricsAvailable", "False", "Unreachable", "refused")) == [
        "Unreachable"
    ]


def test_one_cause_of_two_conditions_is_told_once(writer):
    ready = Condition("Ready", "False", "Conflict", "role decode: hpa writes it")
    conflict = Condition("Conflict", "True", "Conflict", "role decode: hpa writes it too")
    assert told(writer, 0, ready, conflict) == ["Conflict"]
    assert told(writer, 5, ready, conflict) == []


def test_each_rescale_is_told(writer):
    for at in (0, 5):
        assert told(writer, at, outcomes=[outcome(Result.WRITTEN)]) == ["SuccessfulRescale"]


def test_a_failing_write_is_told_once_and_not_by_its_condition_too(writer):
    ready = Condition("Ready", "False", "FailedUpdateScale", "forbidden")
    for at, news in ((0, ["FailedRescale"]), (5, [])):
        assert told(writer, at, ready, outcomes=[outcome(Result.FAILED, message="forbidden")]) == news


def test_good_news_and_a_wished_for_pause_are_none(writer):
    good = Condition("Ready", "True", "AsExpected", "every role is decided")
    quiet = Condition("Conflict", "False", "NoConflict", "no other writer was seen")
    paused = Condition("Ready", "False", "Paused", "spec.mode is Paused")
    assert told(writer, 0, good, quiet, paused) == []


async def test_a_successor_counts_the_old_event_instead_of_telling_it_anew(tmp_path):
    spec = RbgAutoscalerSpec(target="ds", roles=(), mode=Mode.AUTO)
    view = AutoscalerView(key=KEY, uid="uid-1", generation=1, spec=spec, group=None, readings={})
    async with FakeKube() as fake:
        api = KubernetesApi(kubeconfig=fake.kubeconfig(tmp_path))
        for at, message in ((0, "3 s late"), (60, "4 s late")):
            note = Note("Warning", "TimedOut", message, state="TimedOut")
            assert await EventWriter(api).write(view, [note], at) == 1
        (event,) = await _events(api)
        await api.close()
    assert (event["count"], event["message"]) == (2, "4 s late")
    assert (event["firstTimestamp"], event["lastTimestamp"]) == (
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:01:00Z",
    )
    assert event["involvedObject"]["uid"] == "uid-1"


async def _events(api):
    return (await api.request("GET", "/api/v1/namespaces/ns/events"))["items"]
