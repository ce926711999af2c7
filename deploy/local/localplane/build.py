"""Finds or builds the programs of the local control plane, each once, into a cache outside the checkout.

A binary is named by the hash of everything that went into it, so a changed pin or flag builds anew and an
unchanged one never does; it appears in the cache by an atomic rename, whole or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / "tools"
PROGRESS_SECONDS = 15.0

Report = Callable[[str], None]


class BuildError(Exception):
    """A program could be neither found nor built; the message says what to do."""


@dataclass(frozen=True)
class Program:
    """One binary: the package it is built from and the versions that fit when it is found ready-made."""

    name: str
    module: str
    """Folder below `tools/` whose go.mod pins it."""
    package: str
    fits: str
    """Regular expression that the output of `<name> --version` must match."""
    ldflags: str = "-s -w"
    tags: str = ""

    @property
    def folder(self) -> Path:
        return TOOLS / self.module

    @property
    def flags(self) -> list[str]:
        tags = [f"-tags={self.tags}"] if self.tags else []
        return ["-trimpath", f"-ldflags={self.ldflags}", *tags]


def _kubernetes(name: str) -> Program:
    # Without its version the API server answers "v0.0.0-master", which clients cannot parse.
    version = "k8s.io/component-base/version"
    stamp = f"-X {version}.gitVersion=v1.37.2 -X {version}.gitMajor=1 -X {version}.gitMinor=37"
    return Program(
        name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", r"\bv1\.37\.\d", ldflags=f"-s -w {stamp}"
    )


def _prometheus(name: str) -> Program:
    # Of some thirty service discoveries only the one for Kubernetes is linked in: the build halves.
    return Program(
        name,
        "prometheus",
        f"github.com/prometheus/prometheus/cmd/{name}",
        r"version v?3\.\d",
        ldflags="-s -w -X github.com/prometheus/common/version.Version=3.13.5",
        tags="remove_all_sd,enable_kubernetes_sd",
    )


PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", r"etcd Version: 3\.6\."),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kube-controller-manager"),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", r"\bv?0\.7\.\d"),
    _prometheus("prometheus"),
    _prometheus("promtool"),
)


def say(line: str) -> None:
    """The default report: one line to stderr, at once."""
    print(line, file=sys.stderr, flush=True)


def cache_folder() -> Path:
    """`RBG_AUTOSCALER_CACHE`, else `$XDG_CACHE_HOME/rbg-autoscaler`, else `~/.cache/rbg-autoscaler`."""
    if own := os.environ.get("RBG_AUTOSCALER_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rbg-autoscaler"


def binaries(report: Report = say) -> dict[str, Path]:
    """Paths of all programs by name: found ready-made, taken from the cache, or built now.

    Raises:
        BuildError: Go is missing or too old, or a program does not build.
    """
    paths = {program.name: found for program in PROGRAMS if (found := _ready_made(program))}
    wanted = [program for program in PROGRAMS if program.name not in paths]
    targets = {program.name: _cached_path(program) for program in wanted}
    if any(not target.exists() for target in targets.values()):
        with _only_builder(report):
            _clear_staging()
            _build_missing([(program, targets[program.name]) for program in wanted], report)
    return paths | targets


def _ready_made(program: Program) -> Path | None:
    """The program from `KUBEBUILDER_ASSETS` or PATH, if its version fits."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / program.name] if assets else []
    if on_path := shutil.which(program.name):
        candidates.append(Path(on_path))
    for path in candidates:
        if os.access(path, os.X_OK) and re.search(program.fits, _version_text(path)):
            return path.resolve()
    return None


def _version_text(path: Path) -> str:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout + answer.stderr


def _cached_path(program: Program) -> Path:
    sources = [(program.folder / name).read_bytes() for name in ("go.mod", "go.sum")]
    words = [program.package, *program.flags, _go_version(program.folder)]
    digest = hashlib.sha256(b"\0".join([*sources, *(word.encode() for word in words)])).hexdigest()
    return cache_folder() / "bin" / f"{program.name}-{digest[:16]}"


def _go_version(folder: Path) -> str:
    """Version and platform of the Go that builds in this folder, e.g. "go1.26.8 linux amd64"."""
    if shutil.which("go") is None:
        raise BuildError(
            "Go is not installed: install Go 1.26 or newer and run `python -m localplane build` again,"
            " or point KUBEBUILDER_ASSETS at a folder that holds "
            + ", ".join(program.name for program in PROGRAMS)
            + "."
        )
    query = ["go", "env", "GOVERSION", "GOOS", "GOARCH"]
    answer = subprocess.run(query, cwd=folder, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise BuildError(
            f"`{' '.join(query)}` failed in {folder}: {answer.stderr.strip()}."
            " The programs need Go 1.26 or newer: install it and run `python -m localplane build` again."
        )
    return " ".join(answer.stdout.split())


@contextmanager
def _only_builder(report: Report) -> Iterator[None]:
    """Holds the cache's lock; the kernel gives it back however this process ends."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another build of the local control plane is running: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _clear_staging() -> None:
    """Removes what builders that were killed left half done; the lock makes sure that none is at work."""
    for folder in (cache_folder() / "bin").glob(".building-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _build_missing(targets: list[tuple[Program, Path]], report: Report) -> None:
    missing = [(program, path) for program, path in targets if not path.exists()]
    if not missing:
        return
    began = time.monotonic()
    names = ", ".join(program.name for program, _ in missing)
    report(f"building the local control plane, once: {names} (about 8 minutes on 2 cores)")
    for number, (program, path) in enumerate(missing, start=1):
        label = f"[{number}/{len(missing)}] {program.name}"
        _build(program, path, label, began, report)
    report(f"built {len(missing)} programs in {_clock(began)} into {cache_folder()}")


def _build(program: Program, target: Path, label: str, began: float, report: Report) -> None:
    """Builds next to the target and renames; Go's own output goes to a log file beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    log = cache_folder() / f"build-{program.name}.log"
    report(f"{label}: building ({_clock(began)} so far)")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as staging:
        output = Path(staging) / program.name
        command = ["go", "build", *program.flags, "-o", str(output), program.package]
        with log.open("w") as sink:
            # CGO off: no C compiler needed, and the binary does not depend on this machine's libc.
            env = {**os.environ, "CGO_ENABLED": "0"}
            child = subprocess.Popen(
                command, cwd=program.folder, env=env, stdout=sink, stderr=subprocess.STDOUT
            )
            code = _wait_reporting(child, label, began, report)
        if code != 0:
            raise BuildError(_failure(program, command, log))
        output.replace(target)


def _wait_reporting(child: subprocess.Popen[bytes], label: str, began: float, report: Report) -> int:
    try:
        while True:
            try:
                return child.wait(timeout=PROGRESS_SECONDS)
            except subprocess.TimeoutExpired:
                report(f"{label}: still building ({_clock(began)} so far)")
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _failure(program: Program, command: list[str], log: Path) -> str:
    tail = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-12:])
    return (
        f"building {program.name} failed. The last lines of {log}:\n{tail}\n"
        f"The command was `{' '.join(command)}` in {program.folder}. If modules could not be fetched,"
        " see that `go env GOPROXY` is reachable; if the disk is full, make room; then run"
        " `python -m localplane build` again: what is built is kept."
    )


def _clock(began: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
