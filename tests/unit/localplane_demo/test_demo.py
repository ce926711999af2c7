"""The demo's verdict, lines and picture on made-up runs: what fails it, and what a person is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from localplane.demo import scenario
from localplane.demo.frame import Frame, NodeFrame, Note, RoleFrame, SignalFrame
from localplane.demo.judge import Verdict, judge
from localplane.demo.lines import lines
from localplane.demo.runner import draw
from localplane.demo.stage import Stage, the_stage
from localplane.demo.summary import gpu_seconds, summary
from localplane.demo.view import view
from rich.console import Console

from rbg_autoscaler.api.parse import parse_autoscaler

STAGE = the_stage()
BEGIN, END = STAGE.load.high


def role(name: str, ready: int, asked: int | None = None) -> RoleFrame:
    asked = ready if asked is None else asked
    return RoleFrame(name, asked, ready, asked, asked, "why", (SignalFrame("KVCacheUsage", 0.5, 0.7),))


def frame(at_s: float, counts: dict[str, int], *, waiting: float = 0, notes: tuple[Note, ...] = ()) -> Frame:
    phase = "high" if BEGIN <= at_s <= END else "quiet"
    used = NodeFrame("gpu-0", 8, {"prefill": 4}, {})
    roles = tuple(role(name, ready) for name, ready in counts.items())
    return Frame(at_s, phase, 3.0, 3.0, waiting, 10 * at_s, 0, 0.1, (used,), 0, roles, notes)


def a_run(change: Callable[[float, Frame], Frame] = lambda _, one: one) -> list[Frame]:
    """A good run at one look a second, changed look by look."""
    low = {actor.name: actor.low for actor in STAGE.actors}
    high = {actor.name: actor.low + 3 for actor in STAGE.actors}
    looks = range(int(STAGE.load.seconds) + 1)
    return [change(at, frame(at, high if BEGIN <= at <= END else low)) for at in looks]


def counts_of(one: Frame, **changed: int) -> Frame:
    return replace(one, roles=tuple(role(r.name, changed.get(r.name, r.ready)) for r in one.roles))


def bad(verdict: Verdict) -> list[str]:
    return [finding.sentence for finding in verdict.findings if not finding.good]


def test_roles_that_rose_worked_everything_off_and_came_back_pass():
    verdict = judge(a_run(), STAGE)
    assert verdict.passed
    assert len(verdict.findings) == 2 * len(STAGE.actors) + 1


@pytest.mark.parametrize("actor", STAGE.actors, ids=lambda actor: actor.name)
def test_a_role_that_did_not_rise_fails(actor):
    run = a_run(lambda _, one: counts_of(one, **{actor.name: actor.low}))
    (sentence,) = bad(judge(run, STAGE))
    assert sentence.startswith(f"{actor.name} did not rise")


@pytest.mark.parametrize("actor", STAGE.actors, ids=lambda actor: actor.name)
def test_a_role_that_did_not_come_back_fails(actor):
    last = STAGE.load.seconds
    run = a_run(lambda at, one: counts_of(one, **{actor.name: actor.low + 1}) if at >= last - 2 else one)
    (sentence,) = bad(judge(run, STAGE))
    assert "not at its minimum" in sentence


def test_a_queue_at_the_end_of_the_high_load_fails():
    run = a_run(lambda at, one: replace(one, waiting=900) if END - 2 <= at <= END else one)
    (sentence,) = bad(judge(run, STAGE))
    assert "capacity was short" in sentence


def test_a_run_that_broke_off_fails():
    assert bad(judge(a_run()[:30], STAGE))
    assert bad(judge([], STAGE))


def test_lines_tell_each_change_once_and_the_state_every_five_seconds():
    message = "role prefill: New size: 2; reason: signal QueueLength averages 9"
    note = Note(3.0, "Normal", "SuccessfulRescale", message)
    run = [frame(at, {"prefill": 1, "decode": 2}, notes=(note,) if at >= 4 else ()) for at in range(12)]
    told = [line for end in range(1, len(run) + 1) for line in lines(run[:end])]
    assert len([line for line in told if "QueueLength" in line]) == 1
    assert len([line for line in told if "GPUs 4 of 8" in line]) == 3


def shown(width: int, height: int, frames: list[Frame], stage: Stage = STAGE) -> str:
    console = Console(width=width, height=height, record=True, file=StringIO())
    console.print(view(frames, stage, width, height))
    return console.export_text()


@pytest.mark.parametrize("width", [80, 110, 160])
def test_the_view_fits_its_terminal_and_shows_every_role(width):
    text = shown(width, 40, a_run()[:70])
    assert max(len(line) for line in text.splitlines()) <= width
    for actor in STAGE.actors:
        assert actor.name in text


def test_the_picture_names_no_other_host():
    svg = draw(a_run(), STAGE)
    assert "<svg" in svg
    assert "https://" not in svg.replace("https://www.textualize.io", "")


def test_the_summary_counts_what_was_used_and_repeats_the_verdict():
    frames = a_run()
    console = Console(width=100, record=True, file=StringIO())
    console.print(summary(frames, STAGE, judge(frames, STAGE)))
    text = console.export_text()
    assert "GPU minutes" in text
    assert text.count("yes  ") == 2 * len(STAGE.actors) + 1
    assert gpu_seconds(frames) == pytest.approx(4 * STAGE.load.seconds, rel=0.05)


def test_the_manifest_shown_to_users_is_the_one_that_is_played():
    spec = parse_autoscaler(scenario.autoscaler())
    assert [one.name for one in spec.roles] == [actor.name for actor in STAGE.actors]
