"""The controller's Events in few words: "decode 3 -> 4: why", in the order in which they happened.

An Event that is no rescale is told as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localplane.demo.frame import Note

_RESCALE = re.compile(r"role (?P<role>\S+): New size: (?P<size>\d+); reason: (?P<why>.*)", re.DOTALL)


@dataclass(frozen=True)
class Told:
    """One thing that happened; `role` is empty unless it is a rescale."""

    at_s: float
    text: str
    role: str = ""
    before: int = 0
    after: int = 0
    warning: bool = False

    @property
    def up(self) -> bool:
        return self.after > self.before


def tell(notes: Iterable[Note], start: Mapping[str, int]) -> list[Told]:
    """The notes told in their order; `start` are the replicas of each role before the first of them."""
    sizes = dict(start)
    told = []
    for note in notes:
        match = _RESCALE.fullmatch(note.message)
        if note.reason != "SuccessfulRescale" or match is None:
            warning = note.kind == "Warning"
            told.append(Told(note.at_s, f"{note.reason}: {note.message}", warning=warning))
            continue
        role, size = match["role"], int(match["size"])
        told.append(Told(note.at_s, match["why"], role, sizes.get(role, 0), size))
        sizes[role] = size
    return told
