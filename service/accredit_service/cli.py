"""`accredit-server`: serve, migrate, bootstrap, token-keys, redact, doctor, descriptors."""

import logging
import os
import stat
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from . import logs
from .setting_rules import SettingsError
from .settings import FILE_VARIABLE, SETTINGS, Setting, Settings, load

if TYPE_CHECKING:
    from .abilities.bootstrap import Bootstrapped
    from .abilities.calls.app import App

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger(__name__)

#: What went wrong is in the settings; trying again without changing them is of no use.
SETTINGS_EXIT = 2
FAILURE_EXIT = 1

#: Seconds that a server waits at most, before it listens, for its files and declared agents.
_BEGINNING_PATIENCE = 5.0

_DATABASE = ("database_url", "database_url_file", "data_dir", "log_level", "log_format")


class _Plain(click.Group):
    """A group whose commands fail with a sentence. A traceback is for whoever asks for debug."""

    def invoke(self, ctx: click.Context) -> Any:
        """See Command."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except SettingsError as error:
            _fail(str(error), SETTINGS_EXIT)
        except Exception as error:
            log.debug("failed", exc_info=True)
            _fail(_sentence(error), FAILURE_EXIT)


def _sentence(error: Exception) -> str:
    from accredit_storage.errors import StoreError

    from .abilities.errors import Refusal
    from .server import StartError

    if isinstance(error, StoreError | Refusal | StartError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror.lower()}"
    return f"a bug, {type(error).__name__}: --log-level debug shows where"


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"accredit-server: {logs.redacted(message)}", err=True)
    sys.exit(code)


def _options(*names: str) -> Callable[[F], F]:
    """The flags of these settings, or of all of them, and the one that names the file."""

    def decorate(command: F) -> F:
        for name in reversed(names or tuple(SETTINGS)):
            command = _option(SETTINGS[name])(command)
        return click.option(
            "--config",
            type=click.Path(path_type=Path),
            help=f"A TOML file with settings, by their names without dashes. [{FILE_VARIABLE}]",
        )(command)

    return decorate


def _option(setting: Setting) -> Callable[[F], F]:
    default = "" if setting.default in (None, "", ()) else f"; default {_shown(setting.default)}"
    help = f"{setting.help} [{setting.variable}{default}]"
    if setting.is_switch:
        flags = f"{setting.flag}/--no-{setting.flag[2:]}"
        return click.option(flags, setting.name, default=None, help=help)
    return click.option(setting.flag, setting.name, metavar="VALUE", help=help)


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:g}" if isinstance(default, float) else str(default)


def _settings(config: Path | None, flags: Mapping[str, object]) -> Settings:
    settings = load(flags, os.environ, config)
    logs.configure(settings.log_level, settings.log_format)
    return settings


@click.group(cls=_Plain, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="accredit-server")
def main() -> None:
    """Accredit's server: the registry that accredits AI agents.

    Every setting is a flag, a variable ACCREDIT_… and a key in the file; the flag wins over the
    variable, the variable over the file.
    """
    # gRPC's core would write lines of its own between ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


@main.command()
@click.option("--migrate", is_flag=True, help="Bring the database's schema up to date first.")
@click.option("--worker-line", type=int, hidden=True)
@_options()
def serve(migrate: bool, worker_line: int | None, config: Path | None, **flags: object) -> None:
    """Serve until SIGTERM or SIGINT.

    A new SQLite database is made by itself. Where there are no users yet, an administrator is
    made, and their token written into the data folder.

    With --workers, that many processes serve. One that dies is replaced; on SIGHUP all are, and no
    call is lost.
    """
    settings = _settings(config, flags)
    settings.check_serving()
    if worker_line is None and settings.workers > 1:
        sys.exit(_supervise(settings, migrate, config, flags))
    from .background import attempt_within
    from .server import build, serve_until_signalled
    from .servicers import services
    from .wiring import (
        check_default_owner,
        make_app,
        make_beginning,
        open_store,
        prepare_schema,
        with_plugins,
    )
    from .workers import Link

    _make_data_dir(settings)
    store = open_store(settings)
    prepare_schema(settings, store, upgrade=migrate)
    app = with_plugins(settings, make_app(settings, store))
    _bootstrap_if_new(settings, app)
    check_default_owner(settings, store)
    beginning = make_beginning(settings, app)
    # Where that takes long, it goes on while calls are answered.
    attempt_within("beginning", _BEGINNING_PATIENCE, beginning.check)
    link = None if worker_line is None else Link(worker_line)
    server = build(
        settings, app, services(app), upkeep=beginning.check, shares_port=link is not None
    )

    def started() -> None:
        if link is None:
            _say_listening(server.address)
        else:
            link.say_ready()

    code = serve_until_signalled(server, started)
    if code or not server.is_idle:
        # A call that hangs with the database would hold up the interpreter's own end.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(128 + code if code else 0)
    store.close()


def _say_listening(address: object) -> None:
    click.echo(f"listening on {address}")


def _supervise(
    settings: Settings, migrate: bool, config: Path | None, flags: Mapping[str, object]
) -> int:
    """Serve with several processes: the exit code."""
    from .workers import AddressTaken, Supervisor, reserved

    serving = [sys.executable, "-m", "accredit_service.cli", "serve"]
    serving += _as_given(config, flags)
    try:
        with reserved(settings.listen) as address:

            def command(line: int, is_first: bool) -> list[str]:
                migrating = ["--migrate"] if migrate and is_first else []
                own = ["--listen", str(address), "--worker-line", str(line)]
                return [*serving, *migrating, *own]

            supervisor = Supervisor(command, settings.workers, grace=settings.grace)
            return supervisor.run(lambda: _say_listening(address))
    except AddressTaken as error:
        _fail(str(error), FAILURE_EXIT)


def _as_given(config: Path | None, flags: Mapping[str, object]) -> list[str]:
    """The flags of a command line again."""
    given = [] if config is None else ["--config", str(config)]
    for name, value in flags.items():
        setting = SETTINGS[name]
        if value is None:
            continue
        if setting.is_switch:
            given.append(setting.flag if value else f"--no-{setting.flag[2:]}")
        else:
            given += [setting.flag, str(value)]
    return given


@main.command()
@click.option("--check", "only_check", is_flag=True, help="Change nothing: fail if it is needed.")
@_options(*_DATABASE)
def migrate(only_check: bool, config: Path | None, **flags: object) -> None:
    """Bring the database to this version's schema."""
    settings = _settings(config, flags)
    from accredit_storage import migrate as schema

    from .wiring import open_store

    with closing(open_store(settings)) as store:
        if not only_check:
            _make_data_dir(settings)
            schema.upgrade(settings.database)
        schema.check(store)
    click.echo("the schema is up to date")


@main.command()
@click.option("--new-token", is_flag=True, help="A new token for an administrator there is.")
@click.option("--login", help="The administrator's login. By default admin, or the first there is.")
@_options(*_DATABASE)
def bootstrap(new_token: bool, login: str | None, config: Path | None, **flags: object) -> None:
    """Make the first administrator, or with --new-token a way back in when all tokens are lost.

    The token is printed once, and written into the data folder. Tokens that were minted before the
    store had token keys are void, and so are those of a retired key: --new-token replaces them.
    """
    settings = _settings(config, flags)
    from .abilities import bootstrap as ability

    _make_data_dir(settings)
    keep = _Keep(settings)
    with _opened(settings) as app:
        if new_token:
            made: Bootstrapped | None = ability.new_token(app, keep.beside, login=login)
        else:
            made = ability.bootstrap(app, keep.first, login=login or ability.DEFAULT_LOGIN)
    if made is None:
        _fail("there are users already: --new-token makes a token for one", FAILURE_EXIT)
    click.echo(f"token of {made.user.login}, also in {keep.path}:", err=True)
    click.echo(made.secret)


@main.command()
@click.argument("revisions", nargs=-1, required=True, type=click.IntRange(1, 2**63 - 1))
@click.option("--yes", is_flag=True, help="Do not ask.")
@_options(*_DATABASE)
def redact(revisions: tuple[int, ...], yes: bool, config: Path | None, **flags: object) -> None:
    """Take what was before and after out of these changes, for good.

    The log still verifies, and a change of its own says which were redacted. The same values may
    stand in the changes before and after these, which are redacted apart.
    """
    settings = _settings(config, flags)
    from .abilities import changes

    named = ", ".join(map(str, sorted(set(revisions))))
    question = f"Take the payloads out of {named}? There is no way back."
    _confirm(question, yes, "nothing was redacted")
    with _opened(settings) as app:
        found = changes.redact(app, revisions)
    if found.taken:
        click.echo(f"redacted: {', '.join(map(str, found.taken))}")
    if found.without:
        click.echo(f"had no payloads: {', '.join(map(str, found.without))}")


@main.group(name="token-keys")
def token_keys() -> None:
    """The keys that prove where a token was minted: list, rotate, retire."""


@token_keys.command(name="list")
@_options(*_DATABASE)
def list_token_keys(config: Path | None, **flags: object) -> None:
    """Show the keys' ids, which of them mints, and how many live tokens each has minted."""
    with _opened(_settings(config, flags)) as app, app.store.read() as tx:
        from .abilities.tokens import keys as ability

        for key in ability.list_keys(tx, app.now()):
            made = key.created_at.isoformat(timespec="seconds")
            minting = "  mints" if key.mints else ""
            click.echo(f"{key.key_id}  {made}  {key.live_tokens} live tokens{minting}")


@token_keys.command(name="rotate")
@_options(*_DATABASE)
def rotate_token_keys(config: Path | None, **flags: object) -> None:
    """Add a key, which mints a minute later, once every server has read it.

    The keys before it go on proving the tokens that they have minted, until they are retired.
    """
    with _opened(_settings(config, flags)) as app, app.store.write() as tx:
        from .abilities.tokens import keys as ability

        key = ability.rotate(tx, app.now())
    click.echo(f"{key.key_id} mints in {ability.MINTS_AFTER.seconds} seconds")


@token_keys.command(name="retire")
@click.argument("key_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_options(*_DATABASE)
def retire_token_key(key_id: str, yes: bool, config: Path | None, **flags: object) -> None:
    """Drop a key, and end every token that it has minted, at once and for good."""
    settings = _settings(config, flags)
    question = f"End every token that was minted under {key_id}? There is no way back."
    _confirm(question, yes, "nothing was retired")
    with _opened(settings) as app, app.store.write() as tx:
        from .abilities.tokens import keys as ability

        retired = ability.retire(tx, key_id, app.now())
    click.echo(f"retired {key_id}; tokens revoked: {retired.tokens_revoked}")


@contextmanager
def _opened(settings: Settings) -> Generator["App"]:
    """The App on a store of this version's schema, for one command."""
    from accredit_storage import migrate as schema

    from .wiring import make_app, open_store

    with closing(open_store(settings)) as store:
        schema.check(store)
        yield make_app(settings, store)


def _confirm(question: str, yes: bool, otherwise: str) -> None:
    """Ask on the terminal, unless the answer was given. Fails where there is none, or for no."""
    if yes:
        return
    if not sys.stdin.isatty():
        _fail("no terminal to confirm on: pass --yes", FAILURE_EXIT)
    if not click.confirm(question):
        _fail(otherwise, FAILURE_EXIT)


@main.command()
@_options()
def doctor(config: Path | None, **flags: object) -> None:
    """Look for what would keep the server from working. Exit code 1 if anything does."""
    from . import doctor as checks

    try:
        settings = _settings(config, flags)
    except SettingsError as error:
        findings = [checks.Finding("settings", str(error))]
    else:
        findings = list(checks.examine(settings))
    for finding in findings:
        verdict = "ok" if finding.problem is None else f"PROBLEM: {finding.problem}"
        click.echo(logs.redacted(f"{finding.subject}: {verdict}"))
    if any(finding.problem is not None for finding in findings):
        sys.exit(FAILURE_EXIT)


@main.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, in place of standard output.",
)
def descriptors(output: Path | None) -> None:
    """Write the contract as a google.protobuf.FileDescriptorSet, with its comments.

    It needs no server. Tools that generate clients or make calls read it.
    """
    from .contract import descriptor_set

    if output is not None:
        output.write_bytes(descriptor_set())
    elif sys.stdout.isatty():
        raise click.UsageError("the set is binary, and this is a terminal: pass --output FILE")
    else:
        sys.stdout.buffer.write(descriptor_set())
        sys.stdout.buffer.flush()


class _Keep:
    """Writes a new token where only we can read it, and remembers where."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.token_file

    def first(self, made: "Bootstrapped") -> None:
        """Into the file of the first administrator; one that is there is of a start that failed."""
        self.path.unlink(missing_ok=True)
        _write_private(self.path, made.secret)

    def beside(self, made: "Bootstrapped") -> None:
        """Into a file of its own: the first one may still be wanted."""
        self.path = self.path.with_stem(f"{self.path.stem}-{made.token_id}")
        _write_private(self.path, made.secret)


def _write_private(path: Path, secret: str) -> None:
    # Exclusively: nobody can have put a link there. On disk before the database says that it is.
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{secret}\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make_data_dir(settings: Settings) -> None:
    path = settings.data_dir
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & stat.S_IRWXO:
        log.warning("data folder open to every user", extra=logs.fields(data_dir=str(path)))


def _bootstrap_if_new(settings: Settings, app: "App") -> None:
    from .abilities.bootstrap import bootstrap as ability

    keep = _Keep(settings)
    made = ability(app, keep.first)
    if made is None:
        return
    log.info("bootstrapped", extra=logs.fields(login=made.user.login, token_file=str(keep.path)))
    click.echo(f"made the administrator {made.user.login}; their token is in {keep.path}")
    # A pipe is as likely as not a log.
    if sys.stdout.isatty():
        click.echo(made.secret)


if __name__ == "__main__":
    main()
