"""Results as plain text tables."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.sync import STEPS, Spread, SyncResult

AIM = "aim at 10000 roles: <= 1.5 s CPU a sync, <= 250 MiB, one query a signal and source, 0 writes at rest"


def text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column is words, the others are numbers."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(w) if not i else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join([first, *others]).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def syncs(results: Sequence[SyncResult]) -> str:
    """Cost by step and size, and what else a size has."""
    header = ["one sync at rest", *(f"{one.roles} roles" for one in results)]
    cpu = [[f"CPU s  {words}", *(_spread(one.cpu[step]) for one in results)] for step, words in STEPS.items()]
    wall = [
        [f"wall s {words}", *(_spread(one.wall[step]) for one in results)]
        for step, words in STEPS.items()
        if step != "fetch"
    ]
    return text(header, [*cpu, *wall, *_others(results)])


def ratios(results: Sequence[SyncResult]) -> str:
    """How the whole grows from the smallest size to each: within one run, so that the machine cancels out."""
    small = results[0]
    lines = [
        f"{one.roles} roles : {small.roles} roles = {one.roles / small.roles:.1f} : 1 in roles, "
        f"{one.cpu['sync'].median / small.cpu['sync'].median:.1f} : 1 in CPU a sync, "
        f"{one.peak_mib / small.peak_mib:.1f} : 1 in memory"
        for one in results[1:]
    ]
    return "\n".join(lines)


def _others(results: Sequence[SyncResult]) -> list[list[str]]:
    rows = {
        "MiB    resident after the syncs": [f"{one.resident_mib:.0f}" for one in results],
        "MiB    peak since the start": [f"{one.peak_mib:.0f}" for one in results],
        "MiB    peak once /metrics was rendered": [f"{one.scraped_peak_mib:.0f}" for one in results],
        "queries a sync": [f"{one.queries:g}" for one in results],
        "API writes in all syncs at rest": [str(one.writes) for one in results],
        "syncs measured": [str(one.syncs) for one in results],
        "API writes of the first sync": [str(one.first_writes) for one in results],
        "CPU s  first sync after a start": [f"{one.first.cpu:.2f}" for one in results],
        "CPU s  filling the caches by lists": [f"{one.fill.cpu:.2f}" for one in results],
        "CPU s  rendering /metrics once": [f"{one.scrape.cpu:.2f}" for one in results],
    }
    return [[words, *cells] for words, cells in rows.items()]


def _spread(one: Spread) -> str:
    return f"{one.median:.3f} ({one.least:.3f}-{one.most:.3f})"
