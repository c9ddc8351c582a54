"""What could keep the server from working, in plain sentences."""

import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from accredit_storage import migrate
from accredit_storage.directory.sweeping import lost, strays
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.engine import sqlite_path
from accredit_storage.errors import StoreError
from accredit_storage.store import Store

from .setting_rules import SettingsError
from .settings import Settings
from .tls import Certificates
from .wiring import check_default_owner, is_sqlite, open_store

_SOME = 10


class Problem(Exception):
    """Something is wrong. The message says what."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and what is wrong with it. ``problem`` None: nothing."""

    subject: str
    problem: str | None = None


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, good ones too. Changes nothing."""
    yield _finding("settings", settings.check_serving)
    yield _finding("TLS", partial(_check_certificates, settings))
    yield _finding("data folder", partial(_check_data_dir, settings))
    yield _finding("files", partial(_check_files, settings))
    exists = _finding("database", partial(_check_database, settings))
    yield exists
    if exists.problem is None:
        with closing(open_store(settings)) as store:
            yield from _examine_stored(settings, store)


def _examine_stored(settings: Settings, store: Store) -> Iterator[Finding]:
    schema = _finding("schema", partial(migrate.check, store))
    yield schema
    if schema.problem is None:
        yield _finding("change log", partial(_check_changes, store))
        yield _finding("administrators", partial(_check_administrators, store))
        yield _finding("default owner", partial(_check_default_owner, settings, store))
        yield _finding("stray names", partial(_check_strays, settings))
        yield _finding("lost directories", partial(_check_lost, settings, store))


def _finding(subject: str, check: Callable[[], object]) -> Finding:
    try:
        check()
    except (SettingsError, StoreError, Problem) as error:
        return Finding(subject, str(error))
    return Finding(subject)


def _check_certificates(settings: Settings) -> None:
    if settings.tls_certificate is not None and settings.tls_key is not None:
        Certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)


def _check_data_dir(settings: Settings) -> None:
    path = settings.data_dir
    if not path.is_dir():
        raise Problem(f"{path} is not there: `accredit-server serve` makes it")
    if path.stat().st_mode & stat.S_IRWXO:
        raise Problem(f"{path} is open to every user here: chmod o= {path}")
    token = settings.token_file
    if token.exists() and token.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Problem(f"{token} is open to others: chmod 600 {token}, and revoke the token in it")


def _check_files(settings: Settings) -> None:
    # The server makes it when it first starts.
    problems = DirectoryTree(settings.files).check() if settings.files.exists() else []
    if problems:
        raise Problem("; ".join(problems))


def _check_strays(settings: Settings) -> None:
    found = strays(DirectoryTree(settings.files)) if settings.files.exists() else []
    if found:
        raise Problem(
            f"{len(found)} in {settings.files} are not the server's, and stand where links to "
            f"directories would be: {_some(found)}"
        )


def _check_lost(settings: Settings, store: Store) -> None:
    found = lost(store, DirectoryTree(settings.files)) if settings.files.exists() else []
    if found:
        raise Problem(
            f"{len(found)} directories were made and are not there: {_some(found)}: bring them "
            "back from a backup; nothing is made in their place"
        )


def _some(found: Sequence[str]) -> str:
    return ", ".join(found[:_SOME])


def _check_database(settings: Settings) -> None:
    with closing(open_store(settings)):
        if is_sqlite(settings) and not sqlite_path(settings.database).exists():
            raise Problem("there is none yet: `accredit-server serve` makes it")


def _check_changes(store: Store) -> None:
    with store.read() as tx:
        found = tx.changes.verify()
    if found.first_broken is not None:
        raise Problem(
            f"revision {found.first_broken} is not what was written: "
            "somebody changed the log, or the disk did"
        )


def _check_administrators(store: Store) -> None:
    with store.read() as tx:
        if not tx.users.count():
            raise Problem("there are no users yet: `accredit-server bootstrap` makes the first")
        if not tx.users.count_active_administrators():
            raise Problem("there is no active administrator")


def _check_default_owner(settings: Settings, store: Store) -> None:
    check_default_owner(settings, store)
    if settings.default_owner:
        with store.read() as tx:
            user = tx.users.find_by_login(settings.default_owner)
        if user is not None and not user.active:
            raise Problem(
                f"{user.login} is not active: declared agents that name no owner are not created"
            )
