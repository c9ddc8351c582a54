"""The tables, as this version of the server uses them; ``migrations`` brings a database here.

Text that stands in an index (slugs, logins, sources, filenames, suppressed names, and the ids of
tokens, requests and subjects) may be up to 800 bytes of UTF-8: an index entry of PostgreSQL holds
2 700, and the longest key has three texts.
"""

import enum

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    UniqueConstraint,
)

from accredit_storage.columns import (
    CanonicalJson,
    CeilingJson,
    Key,
    MemberName,
    PlainText,
    SubjectsJson,
    TokenKeysJson,
    UtcDateTime,
)
from accredit_storage.records import (
    AgentStatus,
    ChangeKind,
    MemoryLayer,
    Role,
    SubjectKind,
    UserKind,
    UserRole,
)

# Named by rule, so that a migration can name what it changes and Alembic sees no difference where
# there is none.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str) -> Column[int]:
    """A key that the database gives out and never gives again."""
    return Column(name, Key, Identity(always=True), primary_key=True)


def _one_of(column: str, members: type[enum.Enum]) -> CheckConstraint:
    """Only the names of ``members`` in ``column``."""
    names = ", ".join(f"'{member.name.lower()}'" for member in members)
    return CheckConstraint(f"{column} IN ({names})", name=column)


users = Table(
    "users",
    metadata,
    _id("user_id"),
    Column("login", PlainText, nullable=False),
    # Its folded form, by which it is unique and found.
    Column("login_folded", PlainText, nullable=False, unique=True),
    Column("kind", MemberName(UserKind), nullable=False),
    Column("role", MemberName(UserRole), nullable=False),
    Column("display_name", PlainText, nullable=False),
    Column("email", PlainText, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column(
        # Added later than its table is made, as each of the two tables refers to the other.
        "default_agent_id",
        Key,
        ForeignKey("agents.agent_id", ondelete="SET NULL", use_alter=True),
        index=True,
    ),
    # What its directory is called besides the id, and whether that was made; see directory.places.
    Column("directory_key", PlainText, nullable=False),
    Column("files_made", Boolean, nullable=False),
    _one_of("kind", UserKind),
    _one_of("role", UserRole),
    Index(None, "email", "user_id"),
    Index(None, "role", "active", "user_id"),
    sqlite_autoincrement=True,
)

sites = Table(
    "sites",
    metadata,
    _id("site_id"),
    Column("site_slug", PlainText, nullable=False, unique=True),
    Column("site_name", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

agents = Table(
    "agents",
    metadata,
    _id("agent_id"),
    Column("agent_slug", PlainText, nullable=False, unique=True),
    Column("agent_name", PlainText, nullable=False),
    Column("owner_id", Key, ForeignKey("users.user_id", ondelete="RESTRICT"), nullable=False),
    Column("config", CanonicalJson, nullable=False),
    Column("status", MemberName(AgentStatus), nullable=False),
    Column("site_scope", Key, ForeignKey("sites.site_id", ondelete="RESTRICT")),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    # What its directory is called besides the id, and whether that was made; see directory.places.
    Column("directory_key", PlainText, nullable=False),
    Column("files_made", Boolean, nullable=False),
    _one_of("status", AgentStatus),
    Index(None, "owner_id", "agent_id"),
    Index(None, "site_scope"),
    sqlite_autoincrement=True,
)

reservations = Table(
    "reservations",
    metadata,
    Column("agent_slug", PlainText, primary_key=True),
    Column(
        # A reservation outlives its owner: then it keeps the slug from everybody.
        "owner_id",
        Key,
        ForeignKey("users.user_id", ondelete="SET NULL"),
        index=True,
    ),
    Column("expire_at", UtcDateTime, nullable=False, index=True),
)

grants = Table(
    "grants",
    metadata,
    Column("agent_id", Key, ForeignKey("agents.agent_id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Key, ForeignKey("users.user_id", ondelete="CASCADE"), primary_key=True),
    Column("role", MemberName(Role), nullable=False),
    Column("granted_by", Key, ForeignKey("users.user_id", ondelete="SET NULL"), index=True),
    Column("granted_at", UtcDateTime, nullable=False),
    Column("expire_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    _one_of("role", Role),
    Index(None, "agent_id", "granted_at", "user_id"),
    Index(None, "user_id", "agent_id"),
)

# The open ones; an agent is offered to one user at a time. What became of the others is in the log.
transfer_offers = Table(
    "transfer_offers",
    metadata,
    _id("offer_id"),
    Column(
        "agent_id",
        Key,
        ForeignKey("agents.agent_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("owner_id", Key, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("new_owner_id", Key, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expire_at", UtcDateTime, nullable=False, index=True),
    Index(None, "agent_id", unique=True),
    Index(None, "owner_id", "offer_id"),
    Index(None, "new_owner_id", "offer_id"),
    sqlite_autoincrement=True,
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", PlainText, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    # Which of the store's keys it was minted under; NULL of what is older than the keys.
    Column("key_id", PlainText),
    Column("agent_id", Key, ForeignKey("agents.agent_id", ondelete="CASCADE")),
    Column("user_id", Key, ForeignKey("users.user_id", ondelete="CASCADE")),
    Column("label", PlainText, nullable=False),
    Column("ceiling", CeilingJson),
    Column("act_as_owner", Boolean, nullable=False),
    Column(
        "created_by",
        Key,
        ForeignKey("users.user_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expire_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("rotated_from", PlainText),
    Column("replaced_by", PlainText),
    Column("last_used_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    CheckConstraint("(agent_id IS NULL) <> (user_id IS NULL)", name="bearer"),
    Index(None, "agent_id", "created_at", "token_id"),
    Index(None, "user_id", "created_at", "token_id"),
    Index(None, "created_at", "token_id"),
)

# Who has to stay an administrator for a token to work, besides its minter. Restricted: without this
# row the token would be good for more, so it has to go before its voucher does.
token_vouchers = Table(
    "token_vouchers",
    metadata,
    Column(
        "token_id", PlainText, ForeignKey("tokens.token_id", ondelete="CASCADE"), primary_key=True
    ),
    Column("user_id", Key, ForeignKey("users.user_id", ondelete="RESTRICT"), primary_key=True),
    Index(None, "user_id", "token_id"),
)

# No CHECK on the kinds of the log: a release that adds one would have to copy or scan the longest
# table that there is, and only WriteTransaction.record() writes them, from the enum.
changes = Table(
    "changes",
    metadata,
    Column("revision", Key, primary_key=True, autoincrement=False),
    Column("kind", MemberName(ChangeKind), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor_user_id", Key),
    Column("actor_agent_id", Key),
    Column("actor_token_id", PlainText),
    Column("request_id", PlainText, nullable=False),
    Column("subjects", SubjectsJson, nullable=False),
    Column("before", CanonicalJson),
    Column("before_digest", LargeBinary),
    Column("after", CanonicalJson),
    Column("after_digest", LargeBinary),
    Column("hash", LargeBinary, nullable=False),
    Index(None, "kind", "revision"),
    Index(None, "at", "revision"),
    Index(None, "actor_user_id", "revision"),
    Index(None, "actor_agent_id", "revision"),
    Index(None, "actor_token_id", "revision"),
)

# What ``changes.subjects`` says once more, in the form in which it can be looked up.
change_subjects = Table(
    "change_subjects",
    metadata,
    Column("kind", MemberName(SubjectKind), primary_key=True),
    Column("subject_id", PlainText, primary_key=True),
    Column(
        "revision",
        Key,
        ForeignKey("changes.revision", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        index=True,
    ),
)

requests = Table(
    "requests",
    metadata,
    Column("caller", PlainText, primary_key=True),
    Column("method", PlainText, primary_key=True),
    Column("request_id", PlainText, primary_key=True),
    Column("body_digest", LargeBinary, nullable=False),
    Column("result", CanonicalJson),
    Column("revision", Key),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)

# No reference to the owner: whether there is such a user is asked when the agent is to be made.
definitions = Table(
    "definitions",
    metadata,
    _id("definition_id"),
    Column("agent_slug", PlainText, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("turn", Key, nullable=False, unique=True),
    Column("label", PlainText, nullable=False),
    Column("description", PlainText, nullable=False),
    Column("owner_id", Key),
    Column("owner_login", PlainText, nullable=False),
    Column("owner_resolver", PlainText, nullable=False),
    Column("default_config", CanonicalJson, nullable=False),
    Column("meta", CanonicalJson, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("registered_by", Key, ForeignKey("users.user_id", ondelete="SET NULL"), index=True),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("agent_slug", "source"),
    Index(None, "priority", "definition_id"),
    sqlite_autoincrement=True,
)

# Apart from the definitions, which are read all together: the texts are megabytes.
definition_seeds = Table(
    "definition_seeds",
    metadata,
    Column(
        "definition_id",
        Key,
        ForeignKey("definitions.definition_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("filename", PlainText, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    # UTF-8 as bytes, since PostgreSQL keeps no NUL in a text. The last, because SQLite reads
    # through a long value to what stands behind it.
    Column("content", LargeBinary, nullable=False),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("name", PlainText, primary_key=True),
    Column("suppressed_by", Key, ForeignKey("users.user_id", ondelete="SET NULL"), index=True),
    Column("created_at", UtcDateTime, nullable=False),
)

memory_file_types = Table(
    "memory_file_types",
    metadata,
    Column("filename", PlainText, primary_key=True),
    Column("layer", MemberName(MemoryLayer), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("is_protected", Boolean, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("required_capability", PlainText, nullable=False),
    Column("label", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index(None, "priority", "filename"),
    _one_of("layer", MemoryLayer),
)

# One row, the counter: its lock is what orders the commits of every mutation.
store_state = Table(
    "store_state",
    metadata,
    Column("row_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", PlainText, nullable=False),
    Column("revision", Key, nullable=False),
    Column("head_hash", LargeBinary, nullable=False),
    Column("anchor_revision", Key, nullable=False),
    Column("anchor_hash", LargeBinary, nullable=False),
    Column("oldest_server", Integer, nullable=False),
    # Under it a login becomes a subject of changes: whoever reads the log learns no logins by that.
    Column("login_key", LargeBinary, nullable=False),
    # Under them tokens are minted. There is always one.
    Column("token_keys", TokenKeysJson, nullable=False),
    # The highest ids whose directories may still be named in the old way; see directory.layout.
    Column("last_old_agent", Key, nullable=False),
    Column("last_old_user", Key, nullable=False),
    CheckConstraint("row_id = 1", name="row_id"),
)

# One row at most: which tree of files belongs to this store, from their first start together.
file_trees = Table(
    "file_trees",
    metadata,
    Column("row_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("files_id", PlainText, nullable=False),
    CheckConstraint("row_id = 1", name="row_id"),
)
