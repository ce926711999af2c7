"""docs/cli.md: its examples are what the program prints, its table of fields is what the JSON has."""

import json
import re
from typing import Any

from rbg_autoscaler.observe import snapshot_file
from tests.unit.cli.examples import BLOCK, PAGE, SNAPSHOT, evening, printed, refreshed

AGAIN = "after a change of words or fields: python -m tests.unit.cli.examples"
WHOLE = ("conditions", "refusal")
"""Documented as a whole, with their fields in words."""


def test_the_page_shows_what_the_commands_print():
    page = PAGE.read_text()
    assert len(BLOCK.findall(page)) >= 2
    assert page == refreshed(page), AGAIN


def test_the_example_snapshot_is_what_is_gathered_today():
    assert SNAPSHOT.read_text() == snapshot_file.dumps(evening()), AGAIN


def leaves(value: Any, path: str = "") -> set[str]:
    """The paths of all fields: items[].roles[].name."""
    if isinstance(value, list):
        return set().union(*(leaves(item, f"{path}[]") for item in value))
    if isinstance(value, dict) and not path.removesuffix("[]").endswith(WHOLE):
        return set().union(*(leaves(item, f"{path}.{key}".lstrip(".")) for key, item in value.items()))
    return {path}


def test_every_field_is_documented_and_every_documented_field_is_there():
    told = json.loads(printed("recommend -o json --snapshot docs/examples/evening.snapshot.json"))
    table = PAGE.read_text().split("| field | |")[1].split("\n\n")[0]
    firsts = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    documented = {field for first in firsts for field in re.findall(r"`([^`]+)`", first)}
    assert documented == leaves(told)
