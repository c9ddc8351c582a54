"""What the commands have in common: from settings to a store that is ready and an App on it."""

from datetime import timedelta

from accredit_storage import migrate
from accredit_storage.errors import StoreUnavailable
from accredit_storage.store import Store

from .abilities.app import App, Limits
from .settings import Settings, SettingsError


def open_store(settings: Settings) -> Store:
    """The store that the settings name, not connected yet. Raises SettingsError."""
    try:
        return Store.open(settings.database, pool_size=settings.pool_size)
    except ImportError:
        raise SettingsError(
            "database_url: PostgreSQL needs its driver: pip install 'accredit-server[postgres]'"
        ) from None
    except ValueError as error:
        raise SettingsError(f"database_url: {error}") from None
    except Exception:  # noqa: BLE001 - its kinds are SQLAlchemy's, which only storage knows
        # SQLAlchemy's own words would quote the URL, and with it a password.
        raise SettingsError("database_url: not the URL of a database") from None


def prepare_schema(settings: Settings, store: Store, *, upgrade: bool) -> None:
    """Make a new SQLite database; bring an old one up to date only if ``upgrade``.

    Raises SchemaMismatch where this version cannot serve what there is.
    """
    if upgrade or (is_sqlite(settings) and _is_new(store)):
        migrate.upgrade(settings.database)
    migrate.check(store)


def make_app(settings: Settings, store: Store) -> App:
    """The App within the settings' limits."""
    return App(
        store=store,
        limits=Limits(
            agents_per_user=settings.agent_limit,
            slug_reservation=timedelta(days=settings.slug_reservation_days),
            request_retention=timedelta(hours=settings.request_retention_hours),
            changes_retention=timedelta(days=settings.changes_retention_days),
        ),
    )


def is_sqlite(settings: Settings) -> bool:
    """Whether the database is a file of ours."""
    return settings.database.startswith("sqlite")


def _is_new(store: Store) -> bool:
    """Whether there is no database of ours, be it that a start broke off before it was made."""
    try:
        with store.read() as tx:
            return not tx.connection.dialect.has_table(tx.connection, "store_state")
    except StoreUnavailable:
        # There is no file.
        return True
