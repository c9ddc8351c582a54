"""Indexes by which pages of definitions and of types of memory files are found."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INDEXES = {"definitions": "definition_id", "memory_file_types": "filename"}


def upgrade() -> None:
    """Add them. Servers from before do not mind."""
    for table, column in _INDEXES.items():
        op.create_index(f"ix_{table}_priority_{column}", table, ["priority", column])


def downgrade() -> None:
    """Drop them."""
    for table, column in _INDEXES.items():
        op.drop_index(f"ix_{table}_priority_{column}", table)
