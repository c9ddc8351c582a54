"""Keys under which tokens are minted. Every token from before is void: its text proves nothing.

They are revoked here, so that nothing shows them as live. No change says so; the epoch is renewed
instead, which voids all that anybody remembers.
"""

import json
from datetime import UTC, datetime
from secrets import choice, token_bytes, token_hex
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Not the types of ``columns``: what this migration makes must not change when they do.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def upgrade() -> None:
    """Make the first key, and end what was minted without one."""
    now = datetime.now(UTC)
    key = {
        "created_at": now.isoformat(),
        "key": token_bytes(32).hex(),
        "key_id": choice(_ALPHABET) + choice(_ALPHABET),
    }
    with op.batch_alter_table("store_state", recreate=_recreate()) as batch:
        batch.add_column(sa.Column("token_keys", sa.Text()))
    state = sa.table(
        "store_state",
        sa.column("token_keys", sa.Text()),
        sa.column("epoch", sa.Text()),
        sa.column("oldest_server", sa.Integer()),
    )
    op.execute(
        state.update().values(
            token_keys=json.dumps([key], separators=(",", ":")),
            epoch=token_hex(16),
            oldest_server=3,
        )
    )
    with op.batch_alter_table("store_state") as batch:
        batch.alter_column("token_keys", existing_type=sa.Text(), nullable=False)
    # Made anew on SQLite, so that it reads as if the column had always been there.
    with op.batch_alter_table("tokens", recreate=_recreate()) as batch:
        batch.add_column(sa.Column("key_id", _TEXT))
    tokens = sa.table("tokens", sa.column("revoked_at", _TIME), sa.column("version", sa.Integer()))
    op.execute(
        tokens.update()
        .where(tokens.c.revoked_at.is_(None))
        .values(revoked_at=now, version=tokens.c.version + 1)
    )


def downgrade() -> None:
    """Drop the keys, and let older servers in again. Their tokens stay revoked."""
    op.drop_column("tokens", "key_id")
    op.drop_column("store_state", "token_keys")
    op.execute("UPDATE store_state SET oldest_server = 2")


def _recreate() -> Literal["always", "never"]:
    return "always" if op.get_bind().dialect.name == "sqlite" else "never"
