"""`make demo` as a person runs it, and what is left when it is over: nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.cluster.harness import ROOT


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    """The demo without a terminal, with its temporary folders below `folder`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "deploy" / "local"), "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-m", "localplane", "demo", *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_demo_ends_by_itself_with_a_verdict_and_leaves_no_process(tmp_path):
    record, picture = tmp_path / "frames.jsonl", tmp_path / "demo.svg"
    with start(tmp_path, "--record", str(record), "--svg", str(picture)) as demo:
        told, _ = demo.communicate(timeout=420)
    assert demo.returncode == 0, told[-4000:]
    assert "The roles followed the load." in told
    assert "* prefill 1 -> " in told
    frames = [json.loads(line) for line in record.read_text().splitlines()]
    for index, role in enumerate(frames[0]["roles"]):
        counts = [frame["roles"][index]["ready"] for frame in frames]
        assert max(counts) > counts[0], role["name"]
        values = [[signal["value"] for signal in frame["roles"][index]["signals"]] for frame in frames]
        assert any(None not in row for row in values), role["name"]
    assert picture.read_text().startswith("<svg")
    assert not leftovers(tmp_path)


def test_ctrl_c_ends_the_demo_with_a_sentence_and_leaves_no_process(tmp_path):
    with start(tmp_path) as demo:
        assert demo.stdout is not None
        told = []
        for line in demo.stdout:
            told.append(line)
            if "load is quiet" in line:
                demo.send_signal(signal.SIGINT)
                break
        rest, _ = demo.communicate(timeout=30)
    assert demo.returncode == 130, "".join(told) + rest
    assert "Stopped before its end" in rest
    assert "Traceback" not in rest
    assert not leftovers(tmp_path)


def leftovers(folder: Path) -> list[str]:
    """Folders of planes, and processes that know one of them."""
    found = [str(plane) for plane in folder.glob("localplane-*")]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/localplane-" in words:
            found.append(words)
    return found
