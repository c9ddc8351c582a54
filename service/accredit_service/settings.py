"""Every setting of the server, from flags, the environment and a file, in that order of precedence.

A field of ``Settings`` is the whole declaration of one: its flag, its variable, its key in the
file, its rule and its help are made from it. A key or a variable that nobody declared refuses to
start, because the misspelt one was meant to do something.
"""

import difflib
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from . import setting_rules as rules
from .setting_rules import Address, LogFormat, LogLevel, Network, Reflection, SettingsError

PREFIX = "ACCREDIT_"
#: The variable that names the file.
FILE_VARIABLE = f"{PREFIX}CONFIG"
#: The client's own variables: whoever runs both has them set for the server as well.
CLIENT_VARIABLES = frozenset(
    f"{PREFIX}{name}"
    for name in ("ADDRESS", "TOKEN", "TOKEN_FILE", "CA_FILE", "AGENT", "SITE", "FORMAT")
)


def _setting(parse: Callable[[object], Any], help: str) -> Mapping[str, Any]:
    """What a field's declaration adds: ``parse`` raises ValueError with the rule."""
    return {"parse": parse, "help": help}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may turn. Each default is good for trying it out on one machine."""

    listen: Address = field(
        default=Address("127.0.0.1", 50051),
        metadata=_setting(rules.address, "Where to listen. Port 0 takes a free one."),
    )
    data_dir: Path = field(
        default=Path("accredit-data"),
        metadata=_setting(rules.path, "The folder for what the server keeps outside a database."),
    )
    database_url: str = field(
        default="",
        repr=False,
        metadata=_setting(
            rules.text, "sqlite:///path or postgresql://… By default a file in the data folder."
        ),
    )
    database_url_file: Path | None = field(
        default=None,
        metadata=_setting(
            rules.path, "A file that holds the database URL, so that no process list shows it."
        ),
    )
    pool_size: int = field(
        default=8, metadata=_setting(rules.whole(1, 1000), "Database connections at most.")
    )
    threads: int = field(
        default=16,
        metadata=_setting(
            rules.whole(1, 1000),
            "Calls that are worked on at once, and as many again that wait for the agents' files.",
        ),
    )
    workers: int = field(
        default=1,
        metadata=_setting(
            rules.whole(1, 128),
            "Processes that serve on the one port, best one for each core. SIGHUP replaces them.",
        ),
    )
    max_connection_age: float = field(
        default=300.0,
        metadata=_setting(
            rules.seconds(1, 86_400),
            "Seconds after which a client is asked to connect anew, so that connections spread.",
        ),
    )
    tls_certificate: Path | None = field(
        default=None,
        metadata=_setting(
            rules.path, "The certificate chain, PEM. A renewed one is used without a restart."
        ),
    )
    tls_key: Path | None = field(
        default=None, metadata=_setting(rules.path, "The certificate's private key, PEM.")
    )
    tls_client_ca: Path | None = field(
        default=None,
        metadata=_setting(rules.path, "Demand client certificates signed by one of these, PEM."),
    )
    insecure_plaintext: bool = field(
        default=False,
        metadata=_setting(rules.switch, "Allow plaintext on an address that other machines reach."),
    )
    reflection: Reflection | None = field(
        default=None,
        metadata=_setting(
            rules.one_of(Reflection),
            "Who may list the services: off, authenticated or open. By default open on loopback, "
            "else authenticated.",
        ),
    )
    channelz: bool = field(
        default=False,
        metadata=_setting(rules.switch, "Serve gRPC's channelz, to callers with manage_settings."),
    )
    grace: float = field(
        default=10.0,
        metadata=_setting(
            rules.seconds(0, 3600),
            "Seconds that running calls have to end in when the server stops.",
        ),
    )
    default_deadline: float = field(
        default=30.0,
        metadata=_setting(
            rules.seconds(0.1, 3600),
            "Seconds that a call has at most, whatever deadline it names or if it names none.",
        ),
    )
    trusted_proxies: tuple[Network, ...] = field(
        default=(),
        metadata=_setting(
            rules.networks,
            "Addresses or networks, with commas between, whose x-forwarded-for is believed where "
            "calls of one address are counted.",
        ),
    )
    agent_limit: int = field(
        default=1,
        metadata=_setting(
            rules.whole(0, 1_000_000), "Agents that a user without manage_agents may own."
        ),
    )
    slug_reservation_days: int = field(
        default=30,
        metadata=_setting(
            rules.whole(0, 36_500), "Days that a released slug is kept for its former owner."
        ),
    )
    transfer_offer_days: int = field(
        default=7,
        metadata=_setting(rules.whole(1, 365), "Days in which an offered agent can be accepted."),
    )
    authority_bytes: int = field(
        default=128 << 20,
        metadata=_setting(
            rules.whole(0, 1 << 40),
            "Bytes of memory for the records that questions about access are answered from, "
            "0 for none.",
        ),
    )
    kept_replies_bytes: int = field(
        default=256 << 20,
        metadata=_setting(
            rules.whole(0, 1 << 40),
            "Bytes of memory for replies to questions that are asked again, 0 for none.",
        ),
    )
    feed_interval: float = field(
        default=0.025,
        metadata=_setting(
            rules.seconds(0.001, 10),
            "Seconds between two looks at what other servers have written to PostgreSQL.",
        ),
    )
    feed_bound: float = field(
        default=1.0,
        metadata=_setting(
            rules.seconds(0.01, 60),
            "Seconds without such a look after which nothing is answered from memory.",
        ),
    )
    request_retention_hours: int = field(
        default=24,
        metadata=_setting(rules.whole(1, 8760), "Hours that a request_id is remembered."),
    )
    changes_retention_days: int = field(
        default=400, metadata=_setting(rules.whole(1, 36_500), "Days that the change log is kept.")
    )
    files_dir: Path | None = field(
        default=None,
        metadata=_setting(
            rules.path,
            "The folder for the files of agents, which all servers share. By default files in the "
            "data folder.",
        ),
    )
    max_file_bytes: int = field(
        default=4 * 2**20,
        metadata=_setting(rules.whole(1024, 2**26), "Bytes that one file may have."),
    )
    max_directory_files: int = field(
        default=5000,
        metadata=_setting(rules.whole(1, 1_000_000), "Files that one directory may have."),
    )
    max_directory_bytes: int = field(
        default=256 * 2**20,
        metadata=_setting(
            rules.whole(1024, 2**40), "Bytes that one directory may have, in all its files."
        ),
    )
    kept_files_days: int = field(
        default=0,
        metadata=_setting(
            rules.whole(0, 36_500),
            "Days that the files of deleted agents and users are kept; 0: for ever.",
        ),
    )
    daily_memory: bool = field(
        default=True, metadata=_setting(rules.switch, "Allow agents' journals to be written.")
    )
    manifests_dir: Path | None = field(
        default=None,
        metadata=_setting(
            rules.path, "A folder with manifests of declared agents. It is watched for changes."
        ),
    )
    default_agent: bool = field(
        default=True,
        metadata=_setting(
            rules.switch, "Declare an agent for the default owner, named after them."
        ),
    )
    default_owner: str = field(
        default="",
        metadata=_setting(
            rules.text,
            "The login of the user who owns declared agents that name no owner; the server does "
            "not start if there is no such user. By default the first active administrator.",
        ),
    )
    suppressed_definitions: tuple[str, ...] = field(
        default=(),
        metadata=_setting(
            rules.names,
            "Slugs of declared agents, or names of entry points, that are not to contribute, with "
            "commas between.",
        ),
    )
    last_used_flush: float = field(
        default=60.0,
        metadata=_setting(
            rules.seconds(1, 3600), "Seconds between two writes of when tokens were last used."
        ),
    )
    log_level: LogLevel = field(
        default=LogLevel.INFO,
        metadata=_setting(
            rules.one_of(LogLevel), "The least that is logged: debug, info, warning, error."
        ),
    )
    log_format: LogFormat | None = field(
        default=None,
        metadata=_setting(
            rules.one_of(LogFormat), "json or text. By default text on a terminal, else json."
        ),
    )

    @property
    def database(self) -> str:
        """The URL of the database, with what its default rests on filled in."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'accredit.sqlite3').absolute()}"

    @property
    def files(self) -> Path:
        """The root of the agents' files, the default filled in."""
        return self.files_dir or self.data_dir / "files"

    @property
    def token_file(self) -> Path:
        """Where the first administrator's token is written."""
        return self.data_dir / "administrator.token"

    @property
    def reflection_mode(self) -> Reflection:
        """Who may list the services, the default filled in."""
        if self.reflection is not None:
            return self.reflection
        return Reflection.OPEN if self.listen.is_loopback else Reflection.AUTHENTICATED

    def check_serving(self) -> None:
        """Raise SettingsError where serving so would be a mistake that nobody makes on purpose."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            missing = "tls_key" if self.tls_key is None else "tls_certificate"
            raise SettingsError(f"{missing}: a certificate and its key are set together or not")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise SettingsError("tls_client_ca: needs tls_certificate and tls_key")
        if self.tls_key is not None:
            check_private("tls_key", self.tls_key)
        elif not self.listen.is_loopback and not self.insecure_plaintext:
            raise SettingsError(
                f"listen: {self.listen} is reached from other machines, and tokens would cross "
                "the network in plaintext: set tls_certificate and tls_key, or "
                "--insecure-plaintext behind a proxy that does"
            )


def check_private(name: str, path: Path) -> None:
    """Raise SettingsError unless the file is there and other users cannot touch it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SettingsError(f"{name}: cannot read {path}: {error.strerror}") from None
    # A group may read it: that is how secrets are mounted into containers.
    if mode & (stat.S_IRWXO & ~stat.S_IXOTH):
        raise SettingsError(f"{name}: {path} is open to every user here: chmod o= {path}")


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of Settings as the sources of settings see it."""

    name: str
    help: str
    default: Any
    is_switch: bool
    parse: Callable[[object], Any]

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The variable in the environment."""
        return f"{PREFIX}{self.name.upper()}"


SETTINGS: Mapping[str, Setting] = {
    one.name: Setting(
        name=one.name,
        help=one.metadata["help"],
        default=one.default,
        is_switch=one.metadata["parse"] is rules.switch,
        parse=one.metadata["parse"],
    )
    for one in fields(Settings)
}


def load(
    flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None = None
) -> Settings:
    """Settings from all three sources. Raises SettingsError, naming the first one that is wrong.

    ``flags`` by field name, None where one was not given. A variable that is set to nothing counts
    as not set.
    """
    _check_variables(environ)
    if file is None and environ.get(FILE_VARIABLE):
        file = Path(environ[FILE_VARIABLE])
    from_file = {} if file is None else _read(file)
    values: dict[str, Any] = {}
    for setting in SETTINGS.values():
        if flags.get(setting.name) is not None:
            values[setting.name] = _parsed(setting, flags[setting.name], setting.flag)
        elif environ.get(setting.variable):
            values[setting.name] = _parsed(setting, environ[setting.variable], setting.variable)
        elif setting.name in from_file:
            values[setting.name] = _parsed(
                setting, from_file[setting.name], f"{setting.name} in {file}"
            )
    if "database_url_file" in values:
        if "database_url" in values:
            raise SettingsError("database_url_file: database_url is set as well; leave one out")
        values["database_url"] = _secret("database_url_file", values["database_url_file"])
    return Settings(**values)


def _parsed(setting: Setting, value: object, source: str) -> Any:
    try:
        return setting.parse(value)
    except ValueError as rule:
        # Never the value: it may be a URL with a password in it.
        raise SettingsError(f"{source}: {rule}") from None


def _check_variables(environ: Mapping[str, str]) -> None:
    known = {FILE_VARIABLE, *(setting.variable for setting in SETTINGS.values())}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known | CLIENT_VARIABLES:
            raise SettingsError(f"{name}: no such setting{_meant(name, known)}")


def _read(file: Path) -> Mapping[str, object]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None
    for name in found:
        if name not in SETTINGS:
            raise SettingsError(f"{name} in {file}: no such setting{_meant(name, SETTINGS)}")
    return found


def _secret(name: str, path: Path) -> str:
    check_private(name, path)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{name}: cannot read {path}") from None
    if not text:
        raise SettingsError(f"{name}: {path} is empty")
    return text


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
