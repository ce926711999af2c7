"""The file of HPA facts: where it is, and one case of it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """One fact: inputs and what HPA makes of them; only the listed keys of `expected` are asserted."""

    id: str
    kind: str
    inputs: dict[str, Any]
    expected: dict[str, Any]


def default_file() -> Path:
    """`conformance/hpa_cases.json` in $RBG_AUTOSCALER_SHARED, or in `shared` beside the checkout."""
    shared = os.environ.get("RBG_AUTOSCALER_SHARED")
    return (Path(shared) if shared else CHECKOUT.parent / "shared") / "conformance" / "hpa_cases.json"


def load(file: Path) -> list[Case]:
    """All cases of both lists, in the file's order."""
    data = json.loads(file.read_text(encoding="utf-8"))
    return [
        Case(case["id"], case["kind"], case["inputs"], case["expected"])
        for case in (*data["cases"], *data.get("derived_cases", ()))
    ]
