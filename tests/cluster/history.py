"""A Prometheus that remembers what a test says happened: OpenMetrics with times, made into blocks, served."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from localplane.build import binaries
from localplane.processes import Probe, Process, free_ports

STEP = 15

Curve = float | Callable[[int], float]
"""A value, or a function of the seconds before NOW (at -600 s ..., at 0 s ...)."""


@dataclass
class History:
    """Samples every 15 s over some minutes that end at `now`."""

    now: int
    _families: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, value: Curve, *, since: int = -900, until: int = 0, **labels: str) -> None:
        """One series; `until` is when its last sample was taken."""
        text = ",".join(f'{label}="{_escape(said)}"' for label, said in labels.items() if said)
        lines = self._families.setdefault(name, [])
        for second in range(since, until + 1, STEP):
            at = value(second) if callable(value) else value
            shown = "NaN" if math.isnan(at) else repr(float(at))
            lines.append(f"{name}{{{text}}} {shown} {self.now + second}")

    def pod(
        self,
        namespace: str,
        pod: str,
        series: Mapping[str, Curve],
        *,
        since: int = -900,
        until: int = 0,
        **more: str,
    ) -> None:
        """Several series of one pod, as one scrape job stores them."""
        common = {"namespace": namespace, "pod": pod, "job": "engines", "instance": f"{pod}:8000"} | more
        for name, value in series.items():
            self.add(name, value, since=since, until=until, **common)

    @property
    def text(self) -> str:
        families = (
            f"# TYPE {name} unknown\n" + "".join(f"{line}\n" for line in lines)
            for name, lines in sorted(self._families.items())
        )
        return "".join(families) + "# EOF\n"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@contextmanager
def prometheus_of(history: History, folder: Path) -> Iterator[str]:
    """The address of a Prometheus that holds the history and scrapes nothing."""
    programs = binaries()
    source, data = folder / "history.txt", folder / "data"
    source.write_text(history.text)
    backfill = ["tsdb", "create-blocks-from", "openmetrics", "--quiet", str(source), str(data)]
    done = subprocess.run(
        [str(programs["promtool"]), *backfill], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    config = folder / "prometheus.yaml"
    config.write_text("scrape_configs: []\n")
    port = free_ports(1)[0]
    flags = [
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    server = Process(
        "prometheus",
        [str(programs["prometheus"]), *flags],
        folder / "prometheus.log",
        Probe(f"{url}/-/ready"),
    )
    server.start()
    try:
        server.wait_healthy(30)
        yield url
    finally:
        server.kill()
