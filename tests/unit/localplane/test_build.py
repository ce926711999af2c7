"""Finding and building the programs, with a `go` and programs that are shell scripts."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from localplane import build
from localplane.build import PROGRAMS, BuildError, binaries

NAMES = [program.name for program in PROGRAMS]

GO_VERSION = 'if [ "$1" = env ]; then echo go1.26.8; echo linux; echo amd64; exit; fi\n'
# Writes what it was called with into the file that follows -o.
GO_BUILDS = GO_VERSION + 'while [ "$1" != -o ]; do shift; done; echo "$3" > "$2"; echo "$3" >> "$BUILDS"\n'
GO_FAILS = GO_VERSION + "echo module lookup disabled >&2; exit 1\n"


def script(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(0o755)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose PATH has `bin/go` and nothing else, and an empty cache."""
    tools = tmp_path / "tools"
    for module in {program.module for program in PROGRAMS}:
        (tools / module).mkdir(parents=True)
        (tools / module / "go.mod").write_text(f"module {module}\n")
        (tools / module / "go.sum").write_text("")
    monkeypatch.setattr(build, "TOOLS", tools)
    monkeypatch.setenv("RBG_AUTOSCALER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    script(tmp_path / "bin" / "go", GO_BUILDS)
    return tmp_path


def builds(machine: Path) -> list[str]:
    log = machine / "builds"
    return log.read_text().split() if log.exists() else []


def test_everything_is_built_once_with_progress(machine: Path, lines: list[str]) -> None:
    first = binaries(lines.append)
    assert list(first) == NAMES
    assert all(path.is_relative_to(machine / "cache") for path in first.values())
    assert first["etcd"].read_text() == "go.etcd.io/etcd/server/v3\n"
    assert lines[0].startswith("building the local control plane, once: etcd, kube-apiserver")
    assert any(line.startswith("[2/7] kube-apiserver: building (") for line in lines)
    assert lines[-1].startswith("built 7 programs in ")

    lines.clear()
    assert binaries(lines.append) == first
    assert (len(builds(machine)), lines) == (7, [])


@pytest.mark.parametrize("file", ["go.mod", "go.sum"])
def test_a_changed_pin_builds_only_its_own_programs_anew(machine: Path, file: str) -> None:
    before = binaries(lambda line: None)
    (machine / "tools" / "etcd" / file).write_text("changed\n")
    after = binaries(lambda line: None)
    assert [name for name in NAMES if before[name] != after[name]] == ["etcd"]
    assert len(builds(machine)) == 8


def test_another_go_version_builds_everything_anew(machine: Path) -> None:
    binaries(lambda line: None)
    script(machine / "bin" / "go", GO_BUILDS.replace("go1.26.8", "go1.27.0"))
    binaries(lambda line: None)
    assert len(builds(machine)) == 14


@pytest.mark.parametrize(
    ("name", "version", "fits"),
    [
        ("kube-apiserver", "Kubernetes v1.37.0", True),
        ("kube-apiserver", "Kubernetes v1.36.2", False),
        ("etcd", "etcd Version: 3.6.1", True),
        ("etcd", "etcd Version: 3.5.9", False),
        ("kwok", "kwok version v0.7.0 go1.24", True),
        ("kwok", "kwok version v0.6.1 go1.24", False),
        ("prometheus", "prometheus, version 3.5.0 (branch: HEAD)", True),
        ("prometheus", "prometheus, version 2.53.0 (branch: HEAD)", False),
    ],
)
@pytest.mark.parametrize("place", ["assets", "path"])
def test_a_program_of_a_fitting_version_is_used_and_not_built(
    machine: Path, monkeypatch: pytest.MonkeyPatch, place: str, name: str, version: str, fits: bool
) -> None:
    folder = machine / ("assets" if place == "assets" else "bin")
    script(folder / name, f'echo "{version}"\n')
    if place == "assets":
        monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    assert (binaries(lambda line: None)[name] == folder / name) == fits
    assert len(builds(machine)) == (6 if fits else 7)


def test_a_failing_build_shows_its_log_says_what_to_do_and_leaves_nothing_half_done(machine: Path) -> None:
    script(machine / "bin" / "go", GO_FAILS)
    with pytest.raises(BuildError) as failure:
        binaries(lambda line: None)
    words = str(failure.value)
    assert words.startswith("building etcd failed.")
    assert "module lookup disabled" in words
    assert "run `python -m localplane build` again" in words
    assert list((machine / "cache" / "bin").iterdir()) == []

    script(machine / "bin" / "go", GO_BUILDS)
    assert list(binaries(lambda line: None)) == NAMES


def test_without_go_the_message_says_what_to_install(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(machine / "empty"))
    with pytest.raises(BuildError, match=r"Go is not installed: install Go 1\.26 or newer"):
        binaries(lambda line: None)


def test_what_a_killed_builder_left_is_cleared_away(machine: Path) -> None:
    (machine / "cache" / "bin" / ".building-x").mkdir(parents=True)
    binaries(lambda line: None)
    assert [path.name for path in (machine / "cache" / "bin").glob(".*")] == []


def test_a_second_builder_waits_for_the_first_and_builds_nothing_twice(
    machine: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    real = fcntl.flock

    def other_builder_first(file: object, operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            raise BlockingIOError
        for path in map(build._cached_path, PROGRAMS):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("built by the other")
        real(file, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", other_builder_first)
    paths = binaries(lines.append)
    assert lines == ["another build of the local control plane is running: waiting for it"]
    assert builds(machine) == []
    assert paths["kwok"].read_text() == "built by the other"


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_home: Callable[[str, str], None] = monkeypatch.setenv
    monkeypatch.delenv("RBG_AUTOSCALER_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    set_home("HOME", str(tmp_path))
    assert build.cache_folder() == tmp_path / ".cache" / "rbg-autoscaler"
    set_home("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert build.cache_folder() == tmp_path / "xdg" / "rbg-autoscaler"
    set_home("RBG_AUTOSCALER_CACHE", str(tmp_path / "own"))
    assert build.cache_folder() == tmp_path / "own"
