"""Children of this process: they die with it, and fail with their last words."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from localplane import processes
from localplane.processes import Probe, Process, ProcessError, free_ports
from localplane.waiting import wait_until

OWNER = """
import sys, threading, time
from pathlib import Path
from localplane.processes import Process
child = Process("child", ["/bin/sleep", "600"], Path(sys.argv[1]))
starter = threading.Thread(target=child.start)
starter.start()
starter.join()
time.sleep(0.2)
print(child.pid, child.alive, flush=True)
time.sleep(600)
"""


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def shell(tmp_path: Path, script: str, probe: Probe | None = None) -> Process:
    return Process("engine", ["/bin/sh", "-c", script], tmp_path / "engine.log", probe)


def nobody_listens() -> Probe:
    return Probe(f"http://127.0.0.1:{free_ports(1)[0]}/healthz")


def test_a_child_outlives_the_thread_that_started_it_but_not_the_process(tmp_path: Path) -> None:
    packages = str(Path(processes.__file__).parent.parent)
    command = [sys.executable, "-c", OWNER, str(tmp_path / "log")]
    env = {**os.environ, "PYTHONPATH": packages}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as owner:
        assert owner.stdout is not None
        pid, alive = owner.stdout.readline().split()
        assert alive == "True"
        assert runs(int(pid))
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not runs(int(pid)), 10, "the child to die with its parent")


def test_a_child_whose_parent_is_gone_already_does_not_start(tmp_path: Path) -> None:
    launcher = Path(processes.__file__).with_name("_launch.py")
    mark = tmp_path / "started"
    no_parent_of_ours = str(os.getpid() + 1)
    command = [sys.executable, str(launcher), no_parent_of_ours, "/bin/touch", str(mark)]
    assert subprocess.run(command, check=False).returncode == 1
    assert not mark.exists()


def test_an_early_end_is_reported_with_name_code_and_last_words(tmp_path: Path) -> None:
    process = shell(tmp_path, "seq 1 40; echo no such flag >&2; exit 3", nobody_listens())
    process.start()
    with pytest.raises(ProcessError, match=r"engine ended with code 3\.(.|\n)*no such flag") as failure:
        process.wait_healthy(10)
    assert "\n  1\n" not in str(failure.value), "only the end of the log"


def test_a_process_that_never_answers_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    process = shell(tmp_path, "echo starting; exec sleep 600", nobody_listens())
    process.start()
    try:
        wait_until(process.log.read_text, 10, "its first line")
        with pytest.raises(ProcessError, match=r"waited 0\.2 s for engine to be healthy(.|\n)*starting"):
            process.wait_healthy(0.2)
    finally:
        process.kill()


def test_it_can_be_killed_and_started_again_but_not_twice_at_once(tmp_path: Path) -> None:
    process = shell(tmp_path, "exec sleep 600")
    assert not process.started
    process.start()
    with pytest.raises(ProcessError, match="running already"):
        process.start()
    first = process.pid
    process.kill()
    process.kill()
    assert (process.started, process.alive, runs(first)) == (False, False, False)
    process.start()
    try:
        assert process.alive
        assert process.pid != first
    finally:
        process.kill()


def test_a_paused_process_is_stopped_until_it_is_resumed(tmp_path: Path) -> None:
    def state() -> str:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    process = shell(tmp_path, "exec sleep 600")
    process.start()
    try:
        process.pause()
        wait_until(lambda: state() == "T", 10, "the process to stop")
        assert process.alive
        process.resume()
        wait_until(lambda: state() != "T", 10, "the process to go on")
    finally:
        process.kill()


def test_free_ports_differ_and_can_be_bound_outside_the_range_of_outgoing_connections() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(20000 <= port < 32000 for port in ports)
    with socket.socket() as server:
        server.bind(("127.0.0.1", ports[0]))


def test_waiting_returns_the_answer_or_says_what_it_waited_for() -> None:
    answers = iter([0, None, "done"])
    assert wait_until(lambda: next(answers), 10, "an answer") == "done"
    with pytest.raises(TimeoutError, match=r"waited 0 s for the impossible; last seen: \[\]"):
        wait_until(list, 0, "the impossible")


def test_children_can_be_started_from_many_threads(tmp_path: Path) -> None:
    children = [Process(f"c{n}", ["/bin/sleep", "600"], tmp_path / f"{n}.log") for n in range(4)]
    threads = [threading.Thread(target=child.start) for child in children]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len({child.pid for child in children}) == 4
        assert all(child.alive for child in children)
    finally:
        for child in children:
            child.kill()
