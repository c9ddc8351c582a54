"""Directories and definitions: the intents of moves, declared agents, memory file types."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Not the types of ``columns``: what this migration makes must not change when they do.
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_JSON = sa.Text()
_TIME = sa.DateTime(timezone=True)

_FIRST_TYPES = (
    {"filename": "NETWORK.md", "priority": 5, "layer": "network"},
    {"filename": "SITE.md", "priority": 10, "layer": "shared", "editable": False},
    {"filename": "RULES.md", "priority": 15, "layer": "shared"},
    {"filename": "SOUL.md", "priority": 20, "layer": "agent", "protected": True},
    {"filename": "USER.md", "priority": 25, "layer": "agent", "protected": True},
    {"filename": "MEMORY.md", "priority": 30, "layer": "agent", "protected": True},
)


def upgrade() -> None:
    """Make the tables, and the first six memory file types."""
    _make_intents()
    _make_definitions()
    _make_memory_file_types()
    op.create_table(
        "file_trees",
        sa.Column("row_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("files_id", _TEXT, nullable=False),
        sa.CheckConstraint("row_id = 1", name=op.f("ck_file_trees_row_id")),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_file_trees")),
    )


def _make_intents() -> None:
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


def _make_definitions() -> None:
    op.create_table(
        "definitions",
        sa.Column("definition_id", _KEY, sa.Identity(always=True), nullable=False),
        sa.Column("agent_slug", _TEXT, nullable=False),
        sa.Column("source", _TEXT, nullable=False),
        sa.Column("turn", _KEY, nullable=False),
        sa.Column("label", _TEXT, nullable=False),
        sa.Column("description", _TEXT, nullable=False),
        sa.Column("owner_id", _KEY),
        sa.Column("owner_login", _TEXT, nullable=False),
        sa.Column("owner_resolver", _TEXT, nullable=False),
        sa.Column("default_config", _JSON, nullable=False),
        sa.Column("meta", _JSON, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("registered_by", _KEY),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("memory_seeds", _JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["registered_by"],
            ["users.user_id"],
            name=op.f("fk_definitions_registered_by_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("definition_id", name=op.f("pk_definitions")),
        sa.UniqueConstraint("agent_slug", "source", name=op.f("uq_definitions_agent_slug_source")),
        sa.UniqueConstraint("turn", name=op.f("uq_definitions_turn")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_definitions_registered_by", "definitions", ["registered_by"])
    op.create_table(
        "suppressions",
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("suppressed_by", _KEY),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["suppressed_by"],
            ["users.user_id"],
            name=op.f("fk_suppressions_suppressed_by_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_suppressions")),
    )
    op.create_index("ix_suppressions_suppressed_by", "suppressions", ["suppressed_by"])


def _make_memory_file_types() -> None:
    made = op.create_table(
        "memory_file_types",
        sa.Column("filename", _TEXT, nullable=False),
        sa.Column("layer", _TEXT, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("editable", sa.Boolean(), nullable=False),
        sa.Column("required_capability", _TEXT, nullable=False),
        sa.Column("label", _TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint(
            "layer IN ('shared', 'agent', 'user', 'network')",
            name=op.f("ck_memory_file_types_layer"),
        ),
        sa.PrimaryKeyConstraint("filename", name=op.f("pk_memory_file_types")),
    )
    now = datetime.now(UTC)
    rest = {
        "protected": False,
        "editable": True,
        "required_capability": "",
        "label": "",
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    op.bulk_insert(made, [{**rest, **one} for one in _FIRST_TYPES])


def downgrade() -> None:
    """Drop them."""
    for table in ("file_trees", "memory_file_types", "suppressions", "definitions", "intents"):
        op.drop_table(table)
