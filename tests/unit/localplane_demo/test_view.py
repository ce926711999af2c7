"""The view as text: what an operator must find in it, on terminals of every size."""

from __future__ import annotations

import io

import pytest
from localplane.demo.frame import Note
from localplane.demo.judge import judge
from localplane.demo.picture import draw, telling_moment
from localplane.demo.summary import gpu_seconds, summary
from localplane.demo.view import view
from rich.console import Console

from tests.unit.localplane_demo.played import STAGE, between, frame, run

FRAMES = run(between(1, 4), between(2, 8))
SIZES = [(80, 24), (80, 50), (110, 24), (110, 41), (160, 60)]


def text(renderable, width: int = 110, height: int = 41) -> str:
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(renderable)
    return console.file.getvalue()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_view_fits_the_terminal_and_keeps_its_height(width, height):
    heights = set()
    for until in (1, 30, 60, 101):
        rows = text(view(FRAMES[:until], STAGE, width, height), width, height).splitlines()
        assert max(map(len, rows)) <= width
        heights.add(len(rows))
    assert len(heights) == 1
    assert heights.pop() < height


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_load_replicas_signals_and_reasons_are_always_there(width, height):
    note = Note(40, "Normal", "SuccessfulRescale", "role decode: New size: 8; reason: it was busy")
    seen = text(
        view([*FRAMES[:40], frame(40, 4, 8, offered=20, waiting=7, notes=(note,))], STAGE, width, height),
        width,
        height,
    )
    for words in (
        "20.0 req/s",
        "7 waiting",
        "4 ready, 4 granted",
        "why prefill has 4",
        "4 of 8 req",
        "2 -> 8",
    ):
        assert words in seen
    assert "it was busy" in seen


def test_a_signal_without_a_value_is_not_shown_as_zero():
    seen = text(view([frame(0, value=None)], STAGE, 110, 41))
    assert "no value, target 8" in seen
    assert "0 of 8" not in seen


def test_brackets_in_a_reason_are_words_and_no_markup():
    note = Note(1, "Warning", "Odd", "up[0] is [red]not[/] there")
    assert "Odd: up[0] is [red]not[/] there" in text(view([frame(1, notes=(note,))], STAGE, 110, 41))


def test_the_picture_shows_the_moment_when_every_role_follows_the_load_down():
    assert FRAMES[telling_moment(FRAMES)].at_s == 80
    assert telling_moment(FRAMES[:50]) == 49
    picture = draw(FRAMES, STAGE)
    assert "1:20" in picture.replace("&#160;", " ")
    assert "https://" not in picture


def test_the_summary_says_what_the_run_took_and_each_finding():
    seen = " ".join(text(summary(FRAMES, STAGE, judge(FRAMES, STAGE))).split())
    assert "prefill 1 4 1" in seen
    assert "rose from 2 to 20 requests/s" in seen
    assert "20 of 24 GPUs" in seen
    assert seen.endswith("The roles followed the load.")
    bad = text(summary(FRAMES[:50], STAGE, judge(FRAMES[:50], STAGE)))
    assert "NO   the run ended at 0:49" in bad
    assert "The roles did not follow the load." in bad


def test_gpu_time_is_what_is_held_until_the_next_look():
    # 5 GPUs for 10 s, then 20 for 5 s.
    assert gpu_seconds([frame(0), frame(10, 4, 8), frame(15)]) == 5 * 10 + 20 * 5
