"""A saved snapshot decided again offline gives the very same output; a bad file says what is wrong."""

import json

import pytest

from tests import builders as k8s
from tests.unit.cli.world import WAITING, invoke

BUSY = {"metrics": [{"signal": "KVCacheUsage", "target": {"type": "AverageValue", "averageValue": "700m"}}]}


@pytest.fixture
def busy(world):
    """Two autoscalers with a past, one of them refused, and a series that is missing."""
    world.serve(prefill=3, decode=4)
    world.load(WAITING, 12, 13, 13)
    roles = k8s.scaled("prefill"), k8s.scaled("decode", **BUSY)
    memory = {"recommendedMax": 6, "written": 4, "writtenAt": k8s.EPOCH, "startUpSeconds": 90.5}
    status = {"targetUid": "uid-llm", "roles": [{"name": "decode", "memory": memory}]}
    coordination = [{"numerator": "decode", "denominator": "prefill", "minRatio": "1500m"}]
    world.kube.put(k8s.autoscaler("llm", *roles, mode="Auto", coordination=coordination) | {"status": status})
    world.kube.put(k8s.autoscaler("lost", target="gone"))
    return world


@pytest.mark.parametrize("name", ["s.json", "s.json.gz"])
@pytest.mark.parametrize(
    "words",
    [
        ["recommend"],
        ["recommend", "-o", "wide"],
        ["recommend", "-o", "json"],
        ["recommend", "llm", "-o", "yaml"],
        ["explain", "llm"],
        ["explain", "llm", "-o", "json"],
    ],
    ids=" ".join,
)
def test_the_same_bytes_come_out_offline(busy, words, name):
    file = busy.folder / name
    live = busy.run(*words, "--save-snapshot", file)
    assert (live.exit_code, bool(live.stdout)) == (0, True)
    again = invoke(*words, "--snapshot", str(file))
    assert again.stdout_bytes == live.stdout_bytes


def test_the_settings_are_in_the_file(busy):
    settings = busy.folder / "settings.yaml"
    text = {"sources": {"default": {"url": busy.prometheus.url}}, "decide": {"tolerance": 0.6}}
    settings.write_text(json.dumps(text))
    file = busy.folder / "s.json"
    words = ["--config", settings, "--save-snapshot", file]
    live = busy.run("recommend", *words, "-o", "json", prometheus=False)
    again = invoke("recommend", "--snapshot", str(file), "-o", "json")
    assert json.loads(again.stdout)["items"][0]["roles"][0]["granted"] == 3
    assert again.stdout == live.stdout


def test_namespace_and_names_choose_from_a_file_too(busy):
    file = str(busy.folder / "s.json")
    busy.run("recommend", "--save-snapshot", file)
    assert "llm" not in invoke("recommend", "--snapshot", file, "lost").stdout
    told = invoke("recommend", "--snapshot", file, "-n", "elsewhere", "llm")
    assert told.stderr == "Error: no RbgAutoscaler llm in namespace elsewhere; there are none\n"
    assert invoke("recommend", "--snapshot", file, "--exit-code").exit_code == 3


def test_a_file_that_is_no_snapshot_is_bad_input(tmp_path):
    file = tmp_path / "s.json"
    for text, said in (("{", "not JSON"), ("{}", "not a saved snapshot"), (b"\x1f\x8bxx", "s.json: ")):
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        told = invoke("recommend", "--snapshot", str(file))
        assert told.exit_code == 2
        assert said in told.stderr


def test_a_snapshot_that_cannot_be_written_is_a_failure(busy, tmp_path):
    told = busy.run("recommend", "--save-snapshot", tmp_path / "none" / "s.json")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "s.json: cannot be written: No such file or directory" in told.stderr
