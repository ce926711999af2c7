"""The entry point: what it costs, what it is called, and that its list of commands is true."""

import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from rbg_autoscaler.api.schema import CRD_FILE
from rbg_autoscaler.cli.main import COMMANDS, cli, program_name
from tests.unit.cli.world import invoke

ROOT = Path(__file__).parents[3]
HELP = "import sys; sys.argv = ['rbg-autoscaler', '--help']\nfrom rbg_autoscaler.cli.main import main\n"
HEAVY = (
    "kubernetes",
    "kopf",
    "pydantic",
    "prometheus_client",
    "prometheus_api_client",
    "requests",
    "aiohttp",
    "yaml",
)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT)


def seconds_of(*arguments: str) -> float:
    started = time.perf_counter()
    assert python(*arguments).returncode == 0
    return time.perf_counter() - started


def test_help_imports_nothing_but_click():
    code = (
        HELP
        + "try:\n    main()\nfinally:\n"
        + f"    print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)\n"
        + "    print(sorted(m for m in sys.modules if m.startswith('rbg_autoscaler')), file=sys.stderr)\n"
    )
    told = python("-c", code)
    assert (told.returncode, told.stderr.splitlines()[0]) == (0, "[]")
    assert told.stderr.splitlines()[1] == str(
        ["rbg_autoscaler", "rbg_autoscaler.cli", "rbg_autoscaler.cli.main"]
    )


def test_help_takes_hardly_longer_than_click_itself():
    """As a ratio of the best of five, taken in turn: what else the machine does hits both."""
    pairs = [
        (seconds_of("-c", "import click"), seconds_of("-m", "rbg_autoscaler.cli.main", "--help"))
        for _ in range(5)
    ]
    click_alone, with_help = (min(times) for times in zip(*pairs, strict=True))
    assert with_help < 1.6 * click_alone


def test_the_list_of_commands_says_what_the_commands_say():
    for name, lazy in COMMANDS.items():
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert (command.name, (command.help or "").splitlines()[0]) == (name, lazy.help)
        assert invoke(name, "--help").exit_code == 0


def test_an_unknown_command_is_usage():
    told = invoke("recomend")
    assert told.exit_code == 2
    assert "recomend" in told.stderr


@pytest.mark.parametrize(
    ("called_as", "shown"),
    [
        ("/usr/local/bin/kubectl-rbg_autoscaler", "kubectl rbg-autoscaler"),
        ("/usr/local/bin/rbg-autoscaler", "rbg-autoscaler"),
        ("/src/rbg_autoscaler/cli/main.py", "rbg-autoscaler"),
    ],
)
def test_the_name_shown_is_the_one_to_type(called_as, shown):
    assert program_name(called_as) == shown


def test_it_is_installed_under_both_names():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == dict.fromkeys(
        ("rbg-autoscaler", "kubectl-rbg_autoscaler"), "rbg_autoscaler.cli.main:main"
    )


def test_crd_prints_the_checked_in_file():
    assert invoke("crd").stdout == (ROOT / "crds" / CRD_FILE).read_text()


def test_version_is_the_installed_ones(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", {"rbg-autoscaler": "1.2.3"}.__getitem__)
    assert invoke("version").stdout == "1.2.3\n"
    monkeypatch.undo()
    monkeypatch.setattr("importlib.metadata.Distribution.discover", lambda **_: iter(()))
    assert invoke("version").stdout == "unknown (run from a checkout, not installed)\n"
