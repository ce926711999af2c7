"""`run`: settings that cannot be used end it before anything starts."""

import subprocess
import sys

import pytest

from tests.unit.cli.world import invoke


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is no YAML"),
        ("{}", "sources: at least one Prometheus must be named"),
        ("sources: {default: {url: http://p}}\nsyncPeriod: 5", "syncPeriod: no such setting"),
        ("sources: {default: {url: p:9090}}", "sources.default.url: must be http://"),
    ],
)
def test_bad_settings_are_told_and_exit_with_2(tmp_path, text, said):
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    words = ["run", "--config", str(file), "--kubeconfig", str(tmp_path / "none")]
    told = subprocess.run(
        [sys.executable, "-m", "rbg_autoscaler.cli.main", *words], capture_output=True, text=True, timeout=60
    )
    assert (told.returncode, told.stdout) == (2, "")
    assert said in told.stderr
    assert "Traceback" not in told.stderr


def test_a_file_that_is_not_there(tmp_path):
    told = invoke("run", "--config", str(tmp_path / "none.yaml"))
    assert told.exit_code == 2
    assert "none.yaml cannot be read" in told.stderr


def test_the_settings_and_the_kubeconfig_reach_the_controller(tmp_path, monkeypatch):
    file = tmp_path / "settings.yaml"
    file.write_text("sources: {default: {url: 'http://127.0.0.1:9'}}\nsyncPeriodSeconds: 7")
    given = []
    monkeypatch.setattr("rbg_autoscaler.operate.run.run", lambda *arguments: given.append(arguments))
    assert invoke("run", "--config", str(file), "--kubeconfig", "k").exit_code == 0
    ((settings, kubeconfig),) = given
    assert (settings.sync_period_seconds, str(kubeconfig)) == (7, "k")
