"""Offers of agents to new owners, and the agent that a user chose as their default."""

from collections.abc import Generator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations.base import BatchOperations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Not the types of ``columns``: what this migration makes must not change when they do.
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)

_CHOSEN = "fk_users_default_agent_id_agents"


def upgrade() -> None:
    """Make the table of offers, and the column for the chosen agent."""
    op.create_table(
        "transfer_offers",
        sa.Column("offer_id", _KEY, sa.Identity(always=True), nullable=False),
        sa.Column("agent_id", _KEY, nullable=False),
        sa.Column("owner_id", _KEY, nullable=False),
        sa.Column("new_owner_id", _KEY, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expire_at", _TIME, nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [column],
                [f"{table}.{key}"],
                name=op.f(f"fk_transfer_offers_{column}_{table}"),
                ondelete="CASCADE",
            )
            for column, table, key in (
                ("agent_id", "agents", "agent_id"),
                ("owner_id", "users", "user_id"),
                ("new_owner_id", "users", "user_id"),
            )
        ),
        sa.PrimaryKeyConstraint("offer_id", name=op.f("pk_transfer_offers")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_transfer_offers_agent_id", "transfer_offers", ["agent_id"], unique=True)
    for columns in (["expire_at"], ["owner_id", "offer_id"], ["new_owner_id", "offer_id"]):
        op.create_index(f"ix_transfer_offers_{'_'.join(columns)}", "transfer_offers", columns)
    with _altered_users() as users:
        users.add_column(sa.Column("default_agent_id", _KEY))
        users.create_foreign_key(
            _CHOSEN, "agents", ["default_agent_id"], ["agent_id"], ondelete="SET NULL"
        )
    op.create_index("ix_users_default_agent_id", "users", ["default_agent_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_users_default_agent_id", "users")
    with _altered_users() as users:
        users.drop_constraint(_CHOSEN, type_="foreignkey")
        users.drop_column("default_agent_id")
    op.drop_table("transfer_offers")


@contextmanager
def _altered_users() -> Generator[BatchOperations]:
    """The table of users, made anew on SQLite, which adds no reference that has a name."""
    last = None
    if op.get_bind().dialect.name == "sqlite":
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'users'"
        last = op.get_bind().execute(sa.text(query)).scalar()
    with op.batch_alter_table("users", table_kwargs={"sqlite_autoincrement": True}) as users:
        yield users
    if last is not None:
        # The new table has only seen the ids that are left: a deleted user's would be given again.
        restored = sa.text("UPDATE sqlite_sequence SET seq = :last WHERE name = 'users'")
        op.get_bind().execute(restored, {"last": last})
