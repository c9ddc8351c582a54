"""Memory seeds in rows of their own, and memory file types in the words of the contract."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_definitions = sa.table(
    "definitions", sa.column("definition_id", _KEY), sa.column("memory_seeds", sa.Text())
)
_RENAMED = {"protected": "is_protected", "editable": "read_only"}


def upgrade() -> None:
    """Move the seeds into a table of their own, and say read-only where it was editable."""
    seeds = op.create_table(
        "definition_seeds",
        sa.Column("definition_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("filename", _TEXT, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["definition_id"],
            ["definitions.definition_id"],
            name=op.f("fk_definition_seeds_definition_id_definitions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("definition_id", "filename", name=op.f("pk_definition_seeds")),
    )
    # One definition at a time: the texts of all may be gigabytes.
    for definition_id in _definition_ids():
        texts = json.loads(_seeds_of(definition_id))
        if texts:
            op.bulk_insert(
                seeds, [_row(definition_id, name, text.encode()) for name, text in texts.items()]
            )
    op.drop_column("definitions", "memory_seeds")
    for old, new in _RENAMED.items():
        op.execute(f"ALTER TABLE memory_file_types RENAME COLUMN {old} TO {new}")
    op.execute("UPDATE memory_file_types SET read_only = NOT read_only")


def downgrade() -> None:
    """Put the seeds back into the definitions, and say editable where it was read-only."""
    op.execute("UPDATE memory_file_types SET read_only = NOT read_only")
    for old, new in _RENAMED.items():
        op.execute(f"ALTER TABLE memory_file_types RENAME COLUMN {new} TO {old}")
    op.add_column(
        "definitions", sa.Column("memory_seeds", sa.Text(), nullable=False, server_default="{}")
    )
    seeds = sa.table(
        "definition_seeds",
        sa.column("definition_id", _KEY),
        sa.column("filename", _TEXT),
        sa.column("content", sa.LargeBinary()),
    )
    for definition_id in _definition_ids():
        found = op.get_bind().execute(
            sa.select(seeds.c.filename, seeds.c.content).where(
                seeds.c.definition_id == definition_id
            )
        )
        texts = json.dumps({name: bytes(content).decode() for name, content in found})
        of_one = _definitions.c.definition_id == definition_id
        op.execute(_definitions.update().where(of_one).values(memory_seeds=texts))
    op.drop_table("definition_seeds")


def _definition_ids() -> list[int]:
    return list(op.get_bind().scalars(sa.select(_definitions.c.definition_id)))


def _seeds_of(definition_id: int) -> str:
    statement = sa.select(_definitions.c.memory_seeds).where(
        _definitions.c.definition_id == definition_id
    )
    found: str = op.get_bind().scalars(statement).one()
    return found


def _row(definition_id: int, filename: str, content: bytes) -> dict[str, Any]:
    return {
        "definition_id": definition_id,
        "filename": filename,
        "size": len(content),
        "sha256": hashlib.sha256(content).digest(),
        "content": content,
    }
