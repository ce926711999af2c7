"""`make demo` as a person runs it, and what is left when it is over: nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.cluster.harness import ROOT

PATH = str(ROOT / "deploy" / "local")


def test_the_demo_ends_by_itself_with_a_verdict_and_leaves_no_process(tmp_path):
    record = tmp_path / "frames.jsonl"
    command = [sys.executable, "-m", "localplane", "demo", "--record", str(record)]
    environment = os.environ | {"PYTHONPATH": PATH, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=420, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "The roles followed the load." in done.stdout
    frames = [json.loads(line) for line in record.read_text().splitlines()]
    for index, role in enumerate(frames[0]["roles"]):
        counts = [frame["roles"][index]["ready"] for frame in frames]
        assert max(counts) > counts[0], role["name"]
    assert not _of_this_run(tmp_path)
    assert not list(tmp_path.glob("localplane-*"))


def _of_this_run(folder: Path) -> list[str]:
    """Processes that know this run's temporary folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/localplane-" in words:
            found.append(words)
    return found
