"""The namespace that kubectl would use."""

import os

import pytest
import yaml

from rbg_autoscaler.cli import kubeconfig
from rbg_autoscaler.cli.kubeconfig import present_namespace


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def config(tmp_path, name: str, current: str | None = None, **namespaces: str | None):
    contexts = [
        {"name": context, "context": {"cluster": "c"} | ({"namespace": space} if space else {})}
        for context, space in namespaces.items()
    ]
    file = tmp_path / name
    file.write_text(
        yaml.safe_dump({"contexts": contexts} | ({"current-context": current} if current else {}))
    )
    return file


def test_the_current_contexts_or_that_of_the_context_named(tmp_path):
    file = config(tmp_path, "k", "b", a="x", b="y", c=None)
    assert [present_namespace(file, context) for context in (None, "a", "c", "unknown")] == [
        "y",
        "x",
        "default",
        "default",
    ]


def test_of_several_files_the_first_that_says_it_counts(tmp_path, monkeypatch):
    files = [config(tmp_path, "1", a="x"), config(tmp_path, "2", "a", a="hidden", b="y"), tmp_path / "none"]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))
    assert present_namespace(None, None) == "x"
    assert present_namespace(None, "b") == "y"


def test_without_any_kubeconfig_it_is_default_and_in_a_pod_the_pods(tmp_path, monkeypatch):
    assert present_namespace(None, None) == "default"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    mounted = tmp_path / "namespace"
    mounted.write_text("of-the-pod")
    monkeypatch.setattr(kubeconfig, "IN_CLUSTER", mounted)
    assert present_namespace(None, None) == "of-the-pod"
    assert present_namespace(config(tmp_path, "k", "a", a="x"), None) == "x"


@pytest.mark.parametrize("text", ["a: [", "7", "", "contexts: "])
def test_a_broken_file_is_left_to_the_first_request(tmp_path, text):
    file = tmp_path / "k"
    file.write_text(text)
    assert present_namespace(file, None) == "default"
