"""What is told of the controller's Events, and when, to a terminal or a log."""

from __future__ import annotations

from localplane.demo.frame import Note
from localplane.demo.lines import lines
from localplane.demo.telling import Told, tell

from tests.unit.localplane_demo.played import frame


def rescale(at_s: float, role: str, size: int, why: str = "busy") -> Note:
    return Note(at_s, "Normal", "SuccessfulRescale", f"role {role}: New size: {size}; reason: {why}")


def test_rescales_are_told_with_what_was_before():
    notes = [
        rescale(5, "prefill", 3),
        rescale(6, "decode", 4),
        rescale(9, "prefill", 2, "quiet: 15 s; really"),
    ]
    assert tell(notes, {"prefill": 1, "decode": 2}) == [
        Told(5, "busy", "prefill", 1, 3),
        Told(6, "busy", "decode", 2, 4),
        Told(9, "quiet: 15 s; really", "prefill", 3, 2),
    ]


def test_other_events_are_told_as_they_are():
    notes = [Note(5, "Warning", "FailedRescale", "role prefill: New size: 3; reason: busy; error: refused")]
    (told,) = tell(notes, {})
    assert told.warning
    assert told.text == "FailedRescale: role prefill: New size: 3; reason: busy; error: refused"


def test_a_log_gets_each_phase_and_each_change_once_and_the_state_every_five_seconds():
    note = rescale(2, "prefill", 2)
    frames = [frame(0), frame(2, notes=(note,)), frame(4, notes=(note,)), frame(5, notes=(note,)), frame(11)]
    printed = [lines(frames[: count + 1]) for count in range(len(frames))]
    load = "load  2.0/s  served  2.0/s  waiting    0"
    roles = "prefill 1 ready, 1 asked  decode 2 ready, 2 asked"
    state = f"{load}  {roles}  GPUs 5 of 24"
    assert printed == [
        ["0:00  the load is quiet: 2.0 requests/s", f"0:00  {state}"],
        ["0:02  * prefill 1 -> 2: busy"],
        [],
        [f"0:05  {state}"],
        ["0:11  the load is rising: 2.0 requests/s", f"0:11  {state}"],
    ]
