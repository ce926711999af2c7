"""The import rules of `.importlinter`, and what a loaded decision core drags along: nothing."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORBIDDEN = {"kopf", "kubernetes", "prometheus_api_client", "requests", "aiohttp", "pydantic", "yaml"}


def test_imports_point_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_deciding_loads_no_library():
    code = "import sys, rbg_autoscaler.decide.decide; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & FORBIDDEN
