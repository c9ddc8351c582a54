import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from accredit_service.abilities.bootstrap import bootstrap
from accredit_service.abilities.calls.app import App, Limits
from accredit_service.background import Housekeeping, Ticker
from accredit_storage.directory.directories import Directories
from accredit_storage.errors import StoreUnavailable
from accredit_storage.records import UserId
from accredit_storage.requests import RequestKey
from accredit_storage.store import Store
from tests.service.running import PATIENCE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def app(store: Store, tmp_path: Path) -> App:
    directories = Directories(store, tmp_path / "files")
    directories.start()
    return App(
        store=store,
        directories=directories,
        limits=Limits(changes_retention=10 * DAY),
        now=lambda: NOW,
    )


@pytest.fixture
def token_id(app: App) -> str:
    made = bootstrap(app, lambda made: None)
    assert made is not None
    return made.token_id


def last_used(app: App, token_id: str) -> datetime | None:
    with app.store.read() as tx:
        token = tx.tokens.find(token_id)
        assert token is not None
        return token.last_used_at


def test_uses_are_written_once_each(app: App, token_id: str) -> None:
    housekeeping = Housekeeping(app)
    app.usage.note(token_id, NOW)
    housekeeping.flush_usage()
    assert last_used(app, token_id) == NOW
    # Nothing was gathered since: nothing is written, and nothing goes backwards.
    housekeeping.flush_usage()
    app.usage.note(token_id, NOW - DAY)
    housekeeping.flush_usage()
    assert last_used(app, token_id) == NOW


def test_what_could_not_be_written_is_kept(
    app: App, token_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    housekeeping = Housekeeping(app)
    app.usage.note(token_id, NOW)
    with monkeypatch.context() as broken:

        def write(self: Store) -> None:
            raise StoreUnavailable("away")

        broken.setattr(Store, "write", write)
        with suppress(StoreUnavailable):
            housekeeping.flush_usage()
    assert last_used(app, token_id) is None
    housekeeping.flush_usage()
    assert last_used(app, token_id) == NOW


def test_the_sweep_takes_what_is_past_its_time_and_no_more(app: App, token_id: str) -> None:
    with app.store.write() as tx:
        tx.requests.claim(
            RequestKey(caller="user:1", method="A/B", request_id="old"),
            b"",
            NOW - DAY - timedelta(seconds=1),
        )
        tx.requests.claim(
            RequestKey(caller="user:1", method="A/B", request_id="young"),
            b"",
            NOW - DAY + timedelta(seconds=1),
        )
        tx.reservations.put("old", UserId(1), NOW)
        tx.reservations.put("young", UserId(1), NOW + timedelta(seconds=1))
    Housekeeping(app).sweep()
    with app.store.write() as tx:
        assert (
            tx.requests.claim(RequestKey(caller="user:1", method="A/B", request_id="old"), b"", NOW)
            is None
        )
        assert (
            tx.requests.claim(
                RequestKey(caller="user:1", method="A/B", request_id="young"), b"", NOW
            )
            is not None
        )
        assert tx.reservations.find("old", NOW - DAY) is None
        assert tx.reservations.find("young", NOW) is not None


def test_changes_are_kept_for_their_time_and_still_verify_after_it(app: App, token_id: str) -> None:
    def first_broken_and_checked(now: datetime) -> tuple[int | None, int]:
        later = replace(app, now=lambda: now)
        Housekeeping(later).sweep()
        with app.store.read() as tx:
            found = tx.changes.verify()
        return found.first_broken, found.checked

    assert first_broken_and_checked(NOW + 10 * DAY) == (None, 1)
    assert first_broken_and_checked(NOW + 11 * DAY) == (None, 0)


def test_a_ticker_goes_on_after_a_failure_until_it_is_stopped() -> None:
    done = threading.Semaphore(0)

    def work() -> None:
        done.release()
        raise StoreUnavailable("away") if done._value % 2 else ValueError("a bug")

    ticker = Ticker("work", 0.0, work)
    ticker.start()
    for _ in range(5):
        assert done.acquire(timeout=PATIENCE)
    ticker.stop(PATIENCE)
    while done.acquire(blocking=False):
        pass
    assert not ticker._thread.is_alive()
