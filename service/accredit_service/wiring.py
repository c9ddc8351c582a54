"""What the commands have in common: from settings to a store that is ready and an App on it."""

from dataclasses import replace
from datetime import timedelta

from accredit_storage import migrate
from accredit_storage.directory.directories import Directories
from accredit_storage.directory.limits import FileLimits
from accredit_storage.store import Store

from . import plugins
from .abilities.calls.app import App, Limits
from .abilities.extensions.declarations import Declarations
from .background import Beginning
from .manifest_folder import ManifestFolder, Watch
from .memory import Room
from .setting_rules import SettingsError
from .settings import Settings


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
    if upgrade or (is_sqlite(settings) and migrate.is_new(store)):
        migrate.upgrade(settings.database)
    migrate.check(store)


def make_app(settings: Settings, store: Store) -> App:
    """The App within the settings' limits."""
    return App(
        store=store,
        directories=Directories(
            store,
            settings.files,
            limits=file_limits(settings),
            kept_for=timedelta(days=settings.kept_files_days) or None,
        ),
        daily_memory=settings.daily_memory,
        room=Room(
            records=settings.authority_bytes,
            replies=settings.kept_replies_bytes,
            bound=settings.feed_bound,
        ),
        limits=Limits(
            agents_per_user=settings.agent_limit,
            slug_reservation=timedelta(days=settings.slug_reservation_days),
            transfer_offer_lifetime=timedelta(days=settings.transfer_offer_days),
            request_retention=timedelta(hours=settings.request_retention_hours),
            changes_retention=timedelta(days=settings.changes_retention_days),
        ),
    )


def with_plugins(settings: Settings, app: App) -> App:
    """The same with what packages beside the server bring; it is code, which only a server runs."""
    found = plugins.load(settings.suppressed_definitions)
    declarations = Declarations(
        packages=found.definitions,
        notices=found.notices,
        owner_resolvers=found.owner_resolvers,
        suppressed=settings.suppressed_definitions,
        default_agent=settings.default_agent,
        default_owner=settings.default_owner,
    )
    return replace(app, declarations=declarations, generators=(*app.generators, *found.generators))


def check_default_owner(settings: Settings, store: Store) -> None:
    """Raise SettingsError where the setting names nobody: agents would be left without an owner."""
    if not settings.default_owner:
        return
    with store.read() as tx:
        if tx.users.find_by_login(settings.default_owner) is None:
            raise SettingsError(
                f"default_owner: there is no user {settings.default_owner!r}: start without the "
                "setting, create them, and set it then"
            )


def make_beginning(settings: Settings, app: App) -> Beginning:
    """What is to be done when a server starts, and again when its manifests change."""
    folder = None
    if settings.manifests_dir is not None:
        folder = ManifestFolder(app.declarations, settings.manifests_dir)
    return Beginning(app, Watch(app, folder).check)


def file_limits(settings: Settings) -> FileLimits:
    """How large files and directories may be."""
    return FileLimits(
        file_bytes=settings.max_file_bytes,
        files_per_agent=settings.max_directory_files,
        bytes_per_agent=settings.max_directory_bytes,
    )


def is_sqlite(settings: Settings) -> bool:
    """Whether the database is a file of ours."""
    return settings.database.startswith("sqlite")
