"""The key under which logins become subjects of changes, so that a log tells no logins."""

from secrets import token_bytes

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the key to the one row of the store's state."""
    # SQLite adds a column that must not be null only with a default.
    empty = "''" if op.get_bind().dialect.name == "postgresql" else "x''"
    op.add_column(
        "store_state",
        sa.Column("login_key", sa.LargeBinary(), nullable=False, server_default=sa.text(empty)),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("store_state", "login_key", server_default=None)
    state = sa.table("store_state", sa.column("login_key", sa.LargeBinary()))
    op.execute(state.update().values(login_key=token_bytes(32)))


def downgrade() -> None:
    """Drop the key."""
    op.drop_column("store_state", "login_key")
