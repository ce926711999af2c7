"""Colours, where they are wanted: on a terminal, and not against NO_COLOR."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TextIO

import click

Paint = Callable[[str, str], str]
"""A text in a style: up, down, bad, strong or faint."""

_STYLES: Mapping[str, Mapping[str, object]] = {
    "up": {"fg": "green", "bold": True},
    "down": {"fg": "yellow", "bold": True},
    "bad": {"fg": "red"},
    "strong": {"bold": True},
    "faint": {"dim": True},
}


def plain(text: str, style: str) -> str:  # noqa: ARG001
    """No colour at all."""
    return text


def coloured(text: str, style: str) -> str:
    """The text between the style's escape sequences."""
    return click.style(text, **_STYLES[style]) if style in _STYLES else text  # type: ignore[arg-type]


def paint_for(stream: TextIO, environment: Mapping[str, str] = os.environ) -> Paint:
    """Colours for a terminal that can show them, unless NO_COLOR is set (https://no-color.org)."""
    wanted = stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return coloured if wanted else plain
