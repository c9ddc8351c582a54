"""Logins are unique and found whatever their case."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Not the types of ``columns``: what this migration makes must not change when they do.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_UNIQUE = "uq_users_login_folded"


def upgrade() -> None:
    """Add the folded form. Stops where two logins differ in case only, and names them."""
    users = sa.table(
        "users",
        sa.column("user_id", sa.BigInteger()),
        sa.column("login", _TEXT),
        sa.column("login_folded", _TEXT),
    )
    connection = op.get_bind()
    logins = connection.execute(
        sa.select(users.c.user_id, users.c.login).order_by(users.c.user_id)
    ).all()
    seen: dict[str, str] = {}
    for _, login in logins:
        folded = login.casefold()
        if folded in seen:
            raise RuntimeError(
                f"the logins {seen[folded]!r} and {login!r} differ in case only, which this version"
                " does not allow: rename or delete one of them with the version before, then"
                " migrate again"
            )
        seen[folded] = login
    last = _last_id()
    with op.batch_alter_table("users", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.add_column(sa.Column("login_folded", _TEXT))
    for user_id, login in logins:
        connection.execute(
            sa.update(users).where(users.c.user_id == user_id).values(login_folded=login.casefold())
        )
    with op.batch_alter_table("users", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column("login_folded", existing_type=_TEXT, nullable=False)
        batch.drop_constraint("uq_users_login", type_="unique")
        batch.create_unique_constraint(_UNIQUE, ["login_folded"])
    _restore_last_id(last)


def downgrade() -> None:
    """Go by the logins as they are written again."""
    last = _last_id()
    with op.batch_alter_table("users", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_constraint(_UNIQUE, type_="unique")
        batch.drop_column("login_folded")
        batch.create_unique_constraint("uq_users_login", ["login"])
    _restore_last_id(last)


def _last_id() -> int | None:
    if op.get_bind().dialect.name != "sqlite":
        return None
    query = "SELECT seq FROM sqlite_sequence WHERE name = 'users'"
    found: int | None = op.get_bind().execute(sa.text(query)).scalar()
    return found


def _restore_last_id(last: int | None) -> None:
    """SQLite makes the table anew, which has only seen the ids that are left."""
    if last is not None:
        restored = sa.text("UPDATE sqlite_sequence SET seq = :last WHERE name = 'users'")
        op.get_bind().execute(restored, {"last": last})
