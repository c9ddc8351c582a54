"""Several processes on one port, as `accredit-server serve --workers` starts them."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import grpc
import pytest

from accredit.v1 import auth_pb2, auth_pb2_grpc
from accredit_service.setting_rules import Address
from accredit_service.workers import AddressTaken, reserved
from tests.processes import PATIENCE, ServerProcess, StartFailed, launched

WORKERS = 2


def until(is_so: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until something is so; an AssertionError if that takes too long."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        os.sched_yield()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Group:
    """A supervisor with its workers."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        self.popen: subprocess.Popen[str] = process.popen

    def workers(self) -> set[int]:
        pid = self.popen.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {int(child) for child in children if is_alive(int(child))}

    def call(self) -> None:
        """One call over a connection of its own, which the kernel gives to any of them."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        token = (self.process.data_dir / "administrator.token").read_text().strip()
        with grpc.insecure_channel(self.process.address, options=options) as channel:
            auth_pb2_grpc.AuthServiceStub(channel).WhoAmI(
                auth_pb2.WhoAmIRequest(),
                metadata=(("authorization", f"Bearer {token}"),),
                timeout=PATIENCE,
            )


@pytest.fixture
def group(tmp_path: Path) -> Generator[Group]:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with launched(url, tmp_path / "data", "--workers", f"{WORKERS}") as process:
        # It says so when all of them serve.
        assert process.address
        yield Group(process)


def test_all_of_them_answer_on_the_one_port_and_end_together(group: Group) -> None:
    workers = group.workers()
    assert len(workers) == WORKERS
    for _ in range(10):
        group.call()
    group.popen.terminate()
    assert group.popen.wait(PATIENCE) == 0
    assert not [pid for pid in workers if is_alive(pid)]


def test_one_that_dies_is_replaced(group: Group) -> None:
    before = group.workers()
    lost = before.pop()
    os.kill(lost, signal.SIGKILL)
    until(lambda: len(group.workers()) == WORKERS and lost not in group.workers())
    assert before < group.workers()
    group.call()


def test_on_sighup_all_are_replaced_and_no_call_is_lost(group: Group) -> None:
    before = group.workers()
    failures: list[Exception] = []
    over = threading.Event()

    def call_again_and_again() -> None:
        while not over.is_set():
            try:
                group.call()
            except grpc.RpcError as error:
                failures.append(error)

    caller = threading.Thread(target=call_again_and_again)
    caller.start()
    group.popen.send_signal(signal.SIGHUP)
    until(lambda: len(group.workers()) == WORKERS and not before & group.workers())
    over.set()
    caller.join(PATIENCE)
    assert failures == []


def test_they_end_when_the_supervisor_is_killed(group: Group) -> None:
    workers = group.workers()
    group.popen.kill()
    group.popen.wait(PATIENCE)
    until(lambda: not [pid for pid in workers if is_alive(pid)])


def test_a_second_signal_waits_for_nobody(group: Group) -> None:
    for pid in group.workers():
        os.kill(pid, signal.SIGSTOP)
    group.popen.terminate()
    until(lambda: '"stopping"' in group.process.log_text())
    group.popen.send_signal(signal.SIGINT)
    assert group.popen.wait(PATIENCE) == 128 + signal.SIGINT


def test_what_keeps_the_first_one_from_starting_ends_the_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none' / 'a.db'}"
    with launched(url, tmp_path / "data", "--workers", f"{WORKERS}") as process:
        with pytest.raises(StartFailed):
            _ = process.address
        assert process.popen.wait(PATIENCE) == 1


def test_a_port_where_somebody_else_listens_is_not_shared() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        host, port = other.getsockname()
        with pytest.raises(AddressTaken, match="another server"), reserved(Address(host, port)):
            pass


def test_a_port_is_held_while_its_workers_come_and_go() -> None:
    with reserved(Address("127.0.0.1", 0)) as address, socket.socket() as stranger:
        assert address.port
        with pytest.raises(OSError, match="in use"):
            stranger.bind(tuple(address))
    unused: Any = address
    with reserved(unused) as again:
        assert again == address
