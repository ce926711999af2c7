"""The verdict on made-up runs: the good one passes, and each way to fail is named in its own sentence."""

from __future__ import annotations

import pytest
from localplane.demo.judge import judge

from tests.unit.localplane_demo.played import STAGE, between, frame, run

PREFILL, DECODE = between(1, 4), between(2, 8)


def failures(frames):
    return [finding.sentence for finding in judge(frames, STAGE).findings if not finding.good]


def test_roles_that_rise_keep_up_and_come_back_have_followed_the_load():
    verdict = judge(run(PREFILL, DECODE), STAGE)
    assert verdict.passed
    assert "prefill rose from 1 to 4 serving replicas while 20 requests/s arrived" in {
        finding.sentence for finding in verdict.findings
    }


@pytest.mark.parametrize(
    ("prefill", "decode", "sentence"),
    [
        (
            between(1, 1),
            DECODE,
            "prefill did not rise above its 1 serving replicas while 20 requests/s arrived",
        ),
        (
            PREFILL,
            between(2, 2),
            "decode did not rise above its 2 serving replicas while 20 requests/s arrived",
        ),
        (
            between(1, 4, end=999),
            DECODE,
            "prefill ended with 4 of 4 replicas ready, not at its minimum of 1",
        ),
        (
            PREFILL,
            between(2, 8, end=999),
            "decode ended with 8 of 8 replicas ready, not at its minimum of 2",
        ),
        # At 61 s the load is falling already: capacity that comes then is of no use to the peak.
        (
            between(1, 4, start=61),
            DECODE,
            "prefill did not rise above its 1 serving replicas while 20 requests/s arrived",
        ),
    ],
)
def test_a_role_that_does_not_follow_fails(prefill, decode, sentence):
    assert failures(run(prefill, decode)) == [sentence]


def test_a_queue_may_build_up_while_replicas_start_but_not_at_the_end_of_the_high_load():
    assert failures(run(PREFILL, DECODE, lambda at: 500.0 if at < 55 else 0.0)) == []
    assert failures(run(PREFILL, DECODE, lambda at: 500.0 if at < 57 else 0.0)) == [
        "in the last 5 s of the high load up to 500 requests waited, more than 20: capacity was short"
    ]


def test_a_role_below_its_minimum_has_not_come_back():
    assert failures(run(lambda at: PREFILL(at) if at < 90 else 0, DECODE)) == [
        "prefill ended with 0 of 0 replicas ready, not at its minimum of 1"
    ]


def test_replicas_asked_for_but_not_ready_at_the_end_are_told():
    frames = [*run(PREFILL, DECODE), frame(101, 1, 2, asked=3)]
    assert failures(frames) == ["prefill ended with 1 of 3 replicas ready, not at its minimum of 1"]


def test_a_run_that_broke_off_is_no_success_however_good_it_looked():
    frames = run(PREFILL, DECODE)
    assert failures(frames[:60]) == ["the run ended at 0:59, before the load's end at 1:40"]
    assert failures([]) == ["the run ended at 0:00, before the load's end at 1:40"]


def test_a_run_that_was_not_looked_at_during_the_peak_is_no_success():
    frames = [one for one in run(PREFILL, DECODE) if not 30 <= one.at_s <= 60]
    assert "nothing was seen of the end of the high load" in failures(frames)
