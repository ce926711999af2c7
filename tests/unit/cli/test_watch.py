"""Watching: memory is carried along, a controller's writes are followed, what fails is tried again."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from rbg_autoscaler.cli.gather import Gatherer, Round
from rbg_autoscaler.cli.inputs import Inputs
from rbg_autoscaler.cli.output import FORMS
from rbg_autoscaler.cli.paint import plain
from rbg_autoscaler.cli.problems import Failed
from rbg_autoscaler.cli.recommend import Screen, watch
from rbg_autoscaler.cli.report import Report
from rbg_autoscaler.cli.session import Session
from rbg_autoscaler.cli.sources import Sources
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import RoleDecision
from rbg_autoscaler.kube.client import KubernetesApi
from rbg_autoscaler.observe.sources import SourceSettings
from tests import builders as k8s
from tests.unit.cli.world import KV, World

BUSY = {"metrics": [{"signal": "KVCacheUsage", "target": {"type": "AverageValue", "averageValue": "700m"}}]}
START = k8s.EPOCH + 3600


class Timeline:
    """Rounds of one gatherer, at seconds that the test says."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = START

    def rounds(self, *steps) -> list[RoleDecision]:
        """The decisions about the one role: a step is its second, or (second, what happens just before)."""
        return asyncio.run(
            self._rounds([step if isinstance(step, tuple) else (step, None) for step in steps])
        )

    async def _rounds(self, steps) -> list[RoleDecision]:
        api = KubernetesApi(self.world.kubeconfig)
        sources = Sources({}, SourceSettings(url=self.world.prometheus.url))
        gatherer = Gatherer(
            api, sources, DecideConfig(), namespace=k8s.NAMESPACE, clock=lambda: START + self.now
        )
        found: list[Round] = []
        for self.now, happens in steps:
            if happens is not None:
                happens()
            found.append(await gatherer.round())
        await api.close()
        return [one.decisions[0].roles[0] for one in found]


@pytest.fixture
def timeline(world) -> Timeline:
    """Four decode replicas at 0.4 of 0.7: 3 would do."""
    world.serve(decode=4)
    world.load(KV, 0.4, 0.4, 0.4, 0.4, role="decode")
    return Timeline(world)


def test_a_stabilisation_window_is_seen_to_pass(timeline):
    """At 0 s the present 4 are recorded; from 305 s on only the 3 asked for since then count."""
    timeline.world.kube.put(k8s.autoscaler("llm", k8s.scaled("decode", **BUSY)))
    rows = timeline.rounds(*range(0, 310, 5))
    assert [row.proposed for row in rows] == [3] * 62
    assert [row.granted for row in rows] == [4] * 61 + [3]
    assert timeline.world.kube.writes() == []


def remembering(written: int, at: float, requested: int):
    """What a controller leaves: its own count in the group, and in the status that it wrote it."""
    memory = {"recommendedMax": requested, "written": written, "writtenAt": at, "replaced": 9}
    status = {"targetUid": "uid-llm", "roles": [{"name": "decode", "memory": memory}]}
    return k8s.autoscaler("llm", k8s.scaled("decode", **BUSY), mode="Auto") | {"status": status}


def scaled_by_hand(timeline: Timeline, replicas: int) -> None:
    timeline.world.serve(decode=replicas)


def test_a_controllers_own_writes_are_not_taken_for_another_writers(timeline):
    """At 20 s the controller writes 5 and says so in the status; at 40 s a person writes 6."""
    kube = timeline.world.kube
    kube.put(remembering(4, START, 4))

    def controller() -> None:
        scaled_by_hand(timeline, 5)
        kube.put(remembering(5, START + 19, 5))

    rows = timeline.rounds(0, (20, controller), (40, lambda: scaled_by_hand(timeline, 6)))
    reasons = [{step.reason for step in row.steps} for row in rows]
    assert [row.current for row in rows] == [4, 5, 6]
    assert ["ChangedByOther" in found for found in reasons] == [False, False, True]


class Rounds(Session):
    """A session that has its rounds already."""

    def __init__(self, reports: list[Report | click.ClickException]) -> None:
        self._reports: Iterator[Report | click.ClickException] = iter(reports)

    async def taken(self) -> Report:
        found = next(self._reports, None)
        if found is None:
            raise KeyboardInterrupt
        if isinstance(found, click.ClickException):
            raise found
        return found


async def no_sleep(_seconds: float) -> None:
    return


EMPTY, LATER = Report(START, ()), Report(START + 5, ())


@pytest.mark.parametrize("form", FORMS)
def test_each_round_is_shown_and_a_later_failure_is_only_told(form, capsys):
    rounds = Rounds([EMPTY, Failed("the cluster cannot be reached: away"), LATER])
    screen = Screen(form, plain)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(watch(rounds, screen, 5, no_sleep))
    told = capsys.readouterr()
    assert "Note: the cluster cannot be reached: away; trying again\n" in told.err
    assert screen.last is LATER
    if form == "json":
        taken = [json.loads(line)["takenAt"] for line in told.out.splitlines()]
        assert taken == ["2026-01-01T01:00:00Z", "2026-01-01T01:00:05Z"]
    if form == "yaml":
        assert told.out.count("\n---\n") == 1


def test_a_failure_of_the_first_round_ends_the_command():
    with pytest.raises(Failed, match="away"):
        asyncio.run(watch(Rounds([Failed("away")]), Screen("table", plain), 5, no_sleep))


def test_a_note_is_told_once(capsys):
    session = Session(Inputs(), (), None, None)  # type: ignore[arg-type]
    session.tell(["a", "b"])
    session.tell(["b", "c"])
    assert capsys.readouterr().err == "Note: a\nNote: b\nNote: c\n"


def test_ctrl_c_ends_it_with_the_last_rounds_exit_code(world):
    """As a process: two rounds on standard output, then the signal."""
    world.serve(decode=4)
    world.load(KV, 0.9, 0.9, 0.9, 0.9, role="decode")
    world.kube.put(k8s.autoscaler("llm", k8s.scaled("decode", **BUSY)))
    words = ["recommend", "-n", k8s.NAMESPACE, "-o", "json", "--watch", "--interval", "1s", "--exit-code"]
    more = ["--kubeconfig", str(world.kubeconfig), "--prometheus-url", world.prometheus.url]
    argv = [sys.executable, "-m", "rbg_autoscaler.cli.main", *words, *more]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        rounds = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert [one["items"][0]["roles"][0]["granted"] for one in rounds] == [6, 6]
    assert (process.returncode, told.strip()) == (3, "")
