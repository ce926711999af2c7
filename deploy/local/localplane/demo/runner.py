"""Runs the demo: sets the stage, offers the load, looks once a second, shows what it sees, and judges.

Everything it starts is a child of this process and ends with it, whichever way it ends.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from rich.console import Console
from rich.live import Live

from localplane.demo import scenario
from localplane.demo.frame import Frame
from localplane.demo.judge import judge
from localplane.demo.lines import lines
from localplane.demo.observe import Observer
from localplane.demo.picture import draw
from localplane.demo.setting_up import plane_options, set_up
from localplane.demo.stage import Stage, the_stage
from localplane.demo.summary import summary
from localplane.demo.view import view
from localplane.engines.client import EnginesClient, EnginesError
from localplane.kube import KubeError
from localplane.plane import LocalPlane
from localplane.processes import ProcessError

LOOK_SECONDS = 1.0
INTERRUPTED = 130

Show = Callable[[list[Frame]], None]


def demo(record: Path | None = None, picture: Path | None = None) -> int:
    """The whole demo; the exit code: 0 the roles followed the load, 1 they did not, 130 stopped.

    `record` gets one frame a line as JSON, `picture` the view with the whole story in it as SVG.

    Raises:
        BuildError: a program of the control plane could not be built.
    """
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    stage, frames = the_stage(), []
    console.print(
        "Setting up a real control plane, a served group and the controller (about 20 s)", style="bold"
    )
    try:
        with LocalPlane.start(plane_options(), report=_say(console)) as plane:
            frames = _play(plane, stage, console, record)
    except KeyboardInterrupt:
        console.print("\nStopped before its end. Everything the demo had started is gone.")
        return INTERRUPTED
    except (ProcessError, TimeoutError, KubeError, EnginesError, requests.RequestException) as error:
        console.print(f"\nThe demo cannot go on: {error}", style="bold red", markup=False)
        return 1
    verdict = judge(frames, stage)
    console.print(summary(frames, stage, verdict), soft_wrap=True)
    if picture is not None:
        picture.write_text(draw(frames, stage))
        console.print(f"The picture is in {picture}.")
    return 0 if verdict.passed else 1


def _say(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(f"  {text}", markup=False, soft_wrap=True)


def _play(plane: LocalPlane, stage: Stage, console: Console, record: Path | None) -> list[Frame]:
    """Set up, offer the load and look until it is over; all frames."""
    engines = EnginesClient(plane.engines_url)
    set_up(plane, engines, _say(console))
    console.print(
        f"Offering a load that rises and falls within {stage.load.seconds:.0f} s. Everything goes ten times "
        f"as fast as in life: a replica starts in {scenario.START_UP_SECONDS} s.",
        style="bold",
        soft_wrap=True,
    )
    engines.set_load(scenario.NAMESPACE, scenario.GROUP, schedule=stage.load.points, **scenario.REQUESTS)
    observer = Observer(plane.kube, plane.prometheus_url, engines, began=time.time())
    frames: list[Frame] = []
    with _showing(stage, console) as show, _recording(record) as write:
        while not frames or frames[-1].at_s < stage.load.seconds:
            next_look = time.monotonic() + LOOK_SECONDS
            plane.check()
            frames.append(observer.look())
            write(frames[-1])
            show(frames)
            time.sleep(max(0.0, next_look - time.monotonic()))
    return frames


@contextmanager
def _showing(stage: Stage, console: Console) -> Iterator[Show]:
    """The live view on a terminal, else lines."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield _print_lines
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda frames: live.update(view(frames, stage, *console.size), refresh=True)


def _print_lines(frames: list[Frame]) -> None:
    for line in lines(frames):
        print(line, flush=True)


@contextmanager
def _recording(file: Path | None) -> Iterator[Callable[[Frame], None]]:
    if file is None:
        yield lambda _: None
        return
    with file.open("w") as out:
        yield lambda frame: print(json.dumps(frame.to_json()), file=out, flush=True)
