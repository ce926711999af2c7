"""What the pages say is true: manifests parse, links lead somewhere, commands and their options exist."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from rbg_autoscaler.api.parse import parse_autoscaler
from rbg_autoscaler.api.types import KIND
from rbg_autoscaler.cli.main import cli
from rbg_autoscaler.operate.settings import parse_settings

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKE = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def ids(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_manifests_and_settings_are_accepted(page):
    for block in blocks(page, "yaml"):
        for document in yaml.safe_load_all(block):
            if document.get("kind") == KIND:
                assert parse_autoscaler(document).roles
            elif "sources" in document:
                assert parse_settings(block).sources


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_make_targets_exist(page):
    for target in re.findall(r"(?:`|\$ )make ([a-z]+)", page.read_text()):
        assert target in MAKE


def commands() -> list[list[str]]:
    """Every `rbg-autoscaler ...` line of a console block, split as a shell splits it."""
    found = []
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in block.replace("\\\n", " ").splitlines():
                match = re.match(r"\$ (?:kubectl )?rbg-autoscaler (.*)", line)
                if match:
                    found.append(shlex.split(match[1].split("|")[0].split(" > ")[0], comments=True))
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_and_their_options_exist(words):
    command = cli.get_command(None, words[0])
    assert command is not None, words[0]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in words[1:]:
        if word.startswith("-"):
            assert word.split("=")[0] in known, word


def test_help_names_every_command():
    shown = CliRunner().invoke(cli, ["--help"]).output
    for words in commands():
        assert f"\n  {words[0]} " in shown
