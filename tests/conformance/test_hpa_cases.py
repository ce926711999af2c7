"""Every HPA fact of the file through the shipped stages: one test per fact."""

from typing import Any

import pytest

from tests.conformance.case import Case
from tests.conformance.checks import CHECKS, outcome_of
from tests.conformance.excluded import exclusion_of


def test_fact(case: Case) -> None:
    reason = exclusion_of(case)
    if reason is not None:
        pytest.skip(reason)
    assert case.kind in CHECKS, f"no check for cases of kind {case.kind}, and no exclusion"
    outcome = outcome_of(case)
    unknown = case.expected.keys() - outcome.keys()
    assert not unknown, f"nothing of ours answers to {sorted(unknown)}"
    assert {key: _comparable(key, outcome[key], case) for key in case.expected} == case.expected


def _comparable(key: str, ours: Any, case: Case) -> Any:
    """Ours, or the expected text where it is part of ours."""
    if key in ("error_contains", "event") and isinstance(ours, str) and case.expected[key] in ours:
        return case.expected[key]
    return ours
