"""The key under which logins become subjects of changes, and a log that is hashed anew from here.

Before this migration changes were hashed over another form, and grants were subjects by another id.
"""

from secrets import token_bytes

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the one row of the store's state anew, with the key.

    SQLite would add a column that must not be null only with a default that stays.
    """
    before = op.get_bind().execute(sa.text("SELECT * FROM store_state")).one()
    op.drop_table("store_state")
    made = op.create_table(
        "store_state",
        sa.Column("row_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", _TEXT, nullable=False),
        sa.Column("revision", _KEY, nullable=False),
        sa.Column("head_hash", sa.LargeBinary(), nullable=False),
        sa.Column("anchor_revision", _KEY, nullable=False),
        sa.Column("anchor_hash", sa.LargeBinary(), nullable=False),
        sa.Column("oldest_server", sa.Integer(), nullable=False),
        sa.Column("login_key", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("row_id = 1", name=op.f("ck_store_state_row_id")),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_store_state")),
    )
    op.bulk_insert(
        made,
        [
            {
                **before._mapping,
                "login_key": token_bytes(32),
                # What is older was verified by older servers, which write it no longer.
                "anchor_revision": before.revision,
                "anchor_hash": before.head_hash,
                "oldest_server": 2,
            }
        ],
    )
    # The filter finds old changes of a grant by the id that grants have now.
    op.execute(
        "UPDATE change_subjects SET subject_id = replace(subject_id, ':', ':user:')"
        " WHERE kind = 'grant'"
    )


def downgrade() -> None:
    """Drop the key, and let older servers in again."""
    op.drop_column("store_state", "login_key")
    op.execute("UPDATE store_state SET oldest_server = 1")
    op.execute(
        "UPDATE change_subjects SET subject_id = replace(subject_id, ':user:', ':')"
        " WHERE kind = 'grant'"
    )
