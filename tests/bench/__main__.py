"""Measures syncs of fleets, then latency on the local control plane, and prints tables."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench import machine, table
from tests.bench.meter import Cost
from tests.bench.sync import Spread, SyncResult


def main() -> None:
    """Run what was asked for."""
    options = _options()
    facts = machine.facts()
    print("\n".join(f"{name:10} {fact}" for name, fact in facts.items()), flush=True)
    found: dict[str, Any] = {"machine": facts}
    if options.only != "latency":
        found["sync"] = _syncs(options.roles, options.syncs)
    if options.only != "sync":
        from tests.bench.latency import bench

        found["latency"] = bench()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def _syncs(sizes: Sequence[int], count: int) -> list[dict[str, Any]]:
    """Each size in a fresh process, so that none inherits another's memory."""
    results = []
    for size in sizes:
        print(f"\nmeasuring {count} syncs of {size} roles ...", flush=True)
        argv = [sys.executable, "-m", "tests.bench.sync", str(size), str(count)]
        results.append(_result(json.loads(subprocess.check_output(argv))))
    print(f"\n{table.syncs(results)}\n{table.AIM}\n{table.ratios(results)}", flush=True)
    return [asdict(one) for one in results]


def _result(data: dict[str, Any]) -> SyncResult:
    costs = {name: Cost(**data[name]) for name in ("first", "fill", "scrape")}
    spreads = {
        name: {step: Spread(**spread) for step, spread in data[name].items()} for name in ("cpu", "wall")
    }
    return SyncResult(**data | costs | spreads)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=("sync", "latency"), help="run one of the two")
    parser.add_argument("--roles", type=_sizes, default=_sizes("1000,5000,10000"), metavar="N,N,...")
    parser.add_argument("--syncs", type=int, default=10, help="syncs measured at each size (default 10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(","))


if __name__ == "__main__":
    main()
