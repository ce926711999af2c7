"""A made-up run of the demo: the load goes up and down in 100 s, and the roles do what a test says."""

from __future__ import annotations

from collections.abc import Callable

from localplane.demo.frame import Frame, NodeFrame, Note, RoleFrame, SignalFrame
from localplane.demo.scenario import Phase, Schedule
from localplane.demo.stage import Actor, Stage

LOAD = Schedule(
    (
        Phase("quiet", 10, 2.0),
        Phase("rising", 20, 20.0),
        Phase("high", 30, 20.0),
        Phase("falling", 10, 2.0),
        Phase("quiet again", 30, 2.0),
    )
)
STAGE = Stage(
    title="serving/made-up",
    load=LOAD,
    actors=(
        Actor("prefill", low=1, high=4, gpus=1, signals=1, words="1 pod"),
        Actor("decode", low=2, high=8, gpus=2, signals=1, words="gang of 2 pods"),
    ),
    units={"QueueLength": "req"},
)

Count = Callable[[float], int]


def between(low: int, high: int, start: float = 25, end: float = 80) -> Count:
    """`high` replicas from `start` until `end`, else `low`."""
    return lambda at: high if start <= at < end else low


def frame(
    at_s: float,
    prefill: int = 1,
    decode: int = 2,
    *,
    offered: float = 2.0,
    waiting: float = 0.0,
    asked: int | None = None,
    value: float | None = 4.0,
    notes: tuple[Note, ...] = (),
) -> Frame:
    """One moment; `asked` is prefill's count where it differs from what is ready."""
    return Frame(
        at_s=at_s,
        phase=LOAD.phase_at(at_s).name,
        offered=offered,
        served=offered,
        waiting=waiting,
        served_total=10 * at_s,
        dropped_total=0.0,
        first_token_s=0.1,
        nodes=(NodeFrame("gpu-0", 24, {"prefill": prefill, "decode": 2 * decode}, {}),),
        pending_gpus=0,
        roles=tuple(
            RoleFrame(
                name=name,
                asked=ready if asked is None or name != "prefill" else asked,
                ready=ready,
                wanted=ready,
                granted=ready,
                message=f"why {name} has {ready}",
                signals=(SignalFrame("QueueLength", value, 8.0),),
            )
            for name, ready in (("prefill", prefill), ("decode", decode))
        ),
        notes=notes,
    )


def run(prefill: Count, decode: Count, waiting: Callable[[float], float] = lambda at: 0.0) -> list[Frame]:
    """A whole run, one frame a second."""
    rates = dict(zip(range(101), _rates(), strict=True))
    return [frame(at, prefill(at), decode(at), offered=rates[at], waiting=waiting(at)) for at in range(101)]


def _rates() -> list[float]:
    up = [2.0 + 0.9 * step for step in range(20)]
    down = [20.0 - 1.8 * step for step in range(10)]
    return [*([2.0] * 10), *up, *([20.0] * 30), *down, *([2.0] * 31)]
