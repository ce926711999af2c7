"""A decision's whole input in one file: decided again anywhere, it gives the same bytes.

JSON, gzipped where the name ends in `.gz`; the same input always makes the same file.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.memory import Memory
from rbg_autoscaler.decide.snapshot import Snapshot
from rbg_autoscaler.observe.codec import DecodeError, decode, encode

FORMAT = "rbg-autoscaler snapshot"
VERSION = 1
_HEAD = ("format", "version")


class SnapshotFileError(ValueError):
    """The file is no snapshot that this version can read; the message says why."""


@dataclass(frozen=True)
class SavedInput:
    """The arguments of `decide`."""

    snapshot: Snapshot
    memory: Memory
    now: float
    config: DecideConfig = DecideConfig()


def save(path: Path, saved: SavedInput) -> None:
    """Writes the file; raises OSError."""
    text = dumps(saved).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def load(path: Path) -> SavedInput:
    """Reads the file. Raises SnapshotFileError, OSError."""
    content = path.read_bytes()
    try:
        text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        return loads(text.decode())
    except (EOFError, OSError, UnicodeDecodeError, SnapshotFileError) as error:
        raise SnapshotFileError(f"{path}: {error}") from error


def dumps(saved: SavedInput) -> str:
    """The text of the file."""
    head = dict(zip(_HEAD, (FORMAT, VERSION), strict=True))
    return json.dumps(head | encode(saved), indent=1) + "\n"


def loads(text: str) -> SavedInput:
    """The input that the text of a file describes. Raises SnapshotFileError."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise SnapshotFileError(f"not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise SnapshotFileError(f'not a saved snapshot (it has no "format": "{FORMAT}")')
    if data.get("version") != VERSION:
        raise SnapshotFileError(f"format version {data.get('version')}: this program reads version {VERSION}")
    try:
        body = {key: value for key, value in data.items() if key not in _HEAD}
        saved: SavedInput = decode(SavedInput, body)
    except DecodeError as error:
        raise SnapshotFileError(str(error)) from error
    return saved
