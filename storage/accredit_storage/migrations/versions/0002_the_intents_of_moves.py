"""The intents of moves."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Not the types of ``columns``: what this migration makes must not change when they do.
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table in which moves of agents' directories are announced."""
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


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("intents")
