"""Directories are named by the id and a key of their row, and intents to move them are gone.

The directories themselves are given their new names when a server starts: see directory.layout. A
server from before would look for them under the old ones, so that it may not start any more.

The key of a row that is there already follows from the row. So a backup from before this migration
finds its directories again when it is restored beside a tree that has the new names, and migrated.
"""

import base64
import hashlib
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Not the types of ``columns``: what this migration makes must not change when they do.
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)
_TABLES = {"agents": "agent_id", "users": "user_id"}


def upgrade() -> None:
    """Give every agent and user a key, and note up to which of them old names are looked for."""
    for table, key in _TABLES.items():
        _add_columns(table, key)
    with op.batch_alter_table("store_state") as batch:
        for column in ("last_old_agent", "last_old_user"):
            batch.add_column(sa.Column(column, _KEY, nullable=False, server_default="0"))
    op.execute(
        "UPDATE store_state SET oldest_server = 4,"
        " last_old_agent = (SELECT COALESCE(MAX(agent_id), 0) FROM agents),"
        " last_old_user = (SELECT COALESCE(MAX(user_id), 0) FROM users)"
    )
    with op.batch_alter_table("store_state") as batch:
        for column in ("last_old_agent", "last_old_user"):
            batch.alter_column(column, existing_type=_KEY, server_default=None)
    op.drop_table("intents")


def downgrade() -> None:
    """Let older servers in again, unless a directory has its new name, by which none finds it."""
    for table in _TABLES:
        made = sa.text(f"SELECT count(*) FROM {table} WHERE files_made")  # noqa: S608 - ours
        if op.get_bind().execute(made).scalar():
            raise RuntimeError(
                "directories have names that older servers do not find: restore a backup from"
                " before the upgrade, of the database and of the tree of files"
            )
    op.create_table(
        "intents",
        sa.Column("intent_id", _TEXT, nullable=False),
        sa.Column("holder", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("agent_id", _KEY),
        sa.Column("source", _TEXT, nullable=False),
        sa.Column("target", _TEXT, nullable=False),
        sa.Column("recorded_at", _TIME, nullable=False),
        sa.CheckConstraint("kind IN ('create', 'rename', 'delete')", name=op.f("ck_intents_kind")),
        sa.PrimaryKeyConstraint("intent_id", name=op.f("pk_intents")),
        sa.UniqueConstraint("agent_id", name=op.f("uq_intents_agent_id")),
        sa.UniqueConstraint("source", name=op.f("uq_intents_source")),
        sa.UniqueConstraint("target", name=op.f("uq_intents_target")),
    )
    op.create_index("ix_intents_holder", "intents", ["holder"])
    with op.batch_alter_table("store_state") as batch:
        batch.drop_column("last_old_agent")
        batch.drop_column("last_old_user")
    for table in _TABLES:
        last = _last_id(table)
        with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch:
            batch.drop_column("directory_key")
            batch.drop_column("files_made")
        _restore_last_id(table, last)
    op.execute("UPDATE store_state SET oldest_server = 3")


def _add_columns(table: str, key: str) -> None:
    last = _last_id(table)
    with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.add_column(sa.Column("directory_key", _TEXT))
        batch.add_column(sa.Column("files_made", sa.Boolean()))
    rows = sa.table(
        table,
        sa.column(key, sa.BigInteger()),
        sa.column("created_at", _TIME),
        sa.column("directory_key", _TEXT),
        sa.column("files_made", sa.Boolean()),
    )
    connection = op.get_bind()
    found = connection.execute(sa.select(rows.c[key], rows.c.created_at)).all()
    if found:
        # Whether a directory was made is known only when the tree is looked at.
        statement = rows.update().where(rows.c[key] == sa.bindparam("row_id"))
        values = {"directory_key": sa.bindparam("new_key"), "files_made": False}
        connection.execute(
            statement.values(values),
            [{"row_id": row[0], "new_key": _key_of(table, row[0], row[1])} for row in found],
        )
    with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column("directory_key", existing_type=_TEXT, nullable=False)
        batch.alter_column("files_made", existing_type=sa.Boolean(), nullable=False)
    _restore_last_id(table, last)


def _key_of(table: str, row_id: int, created_at: datetime) -> str:
    """80 bits that are the same for the same row, and others for another row with its id."""
    # SQLite drops the zone, PostgreSQL answers in its session's.
    is_naive = created_at.tzinfo is None
    moment = created_at.replace(tzinfo=UTC) if is_naive else created_at.astimezone(UTC)
    digest = hashlib.sha256(f"{table} {row_id} {moment.isoformat()}".encode()).digest()
    return base64.b32encode(digest[:10]).decode().lower()


def _last_id(table: str) -> int | None:
    if op.get_bind().dialect.name != "sqlite":
        return None
    query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    found: int | None = op.get_bind().execute(query, {"name": table}).scalar()
    return found


def _restore_last_id(table: str, last: int | None) -> None:
    """SQLite makes the table anew, which has only seen the ids that are left."""
    if last is not None:
        restored = sa.text("UPDATE sqlite_sequence SET seq = :last WHERE name = :name")
        op.get_bind().execute(restored, {"last": last, "name": table})
