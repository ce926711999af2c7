"""`--hpa-cases FILE`: the file of HPA facts to run, and what came of them at the end."""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.case import default_file, load

TEST = "test_hpa_cases.py::test_fact["


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hpa-cases", metavar="FILE", help="HPA facts to run (default: those of the shared folder)"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    named = metafunc.config.getoption("--hpa-cases", default=None)
    file = Path(named) if named else default_file()
    if not file.exists():
        if named:
            raise pytest.UsageError(f"--hpa-cases {file}: no such file")
        missing = pytest.param(
            None, marks=pytest.mark.skip(f"{file} is absent: name a file with --hpa-cases")
        )
        metafunc.parametrize("case", [missing], ids=["no-cases"])
        return
    cases = load(file)
    metafunc.parametrize("case", cases, ids=[case.id for case in cases])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    facts = {
        outcome: [report for report in terminalreporter.stats.get(outcome, ()) if TEST in report.nodeid]
        for outcome in ("passed", "failed", "error", "skipped")
    }
    if not any(facts.values()):
        return
    terminalreporter.section("HPA conformance")
    for report in facts["failed"] + facts["error"]:
        terminalreporter.line(f"failed    {_id(report)}")
    for report in facts["skipped"]:
        terminalreporter.line(f"excluded  {_id(report)}: {_reason(report)}")
    failed = len(facts["failed"]) + len(facts["error"])
    terminalreporter.line(
        f"{len(facts['passed'])} passed, {failed} failed, {len(facts['skipped'])} excluded "
        f"of {sum(map(len, facts.values()))} facts"
    )


def _id(report: Any) -> str:
    return str(report.nodeid).split(TEST, 1)[1].removesuffix("]")


def _reason(report: Any) -> str:
    return str(report.longrepr[2]).removeprefix("Skipped: ")
