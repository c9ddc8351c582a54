"""The first tables."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Not the types of ``columns``: what this migration makes must not change when they do.
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_JSON = sa.Text()
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make every table, and the one row of the counter with a new epoch."""
    op.create_table(
        "changes",
        sa.Column("revision", _KEY, autoincrement=False, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor_user_id", _KEY),
        sa.Column("actor_agent_id", _KEY),
        sa.Column("actor_token_id", _TEXT),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("subjects", _JSON, nullable=False),
        sa.Column("before", _JSON),
        sa.Column("before_digest", sa.LargeBinary()),
        sa.Column("after", _JSON),
        sa.Column("after_digest", sa.LargeBinary()),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_changes")),
    )
    op.create_index("ix_changes_actor_agent_id_revision", "changes", ["actor_agent_id", "revision"])
    op.create_index("ix_changes_actor_token_id_revision", "changes", ["actor_token_id", "revision"])
    op.create_index("ix_changes_actor_user_id_revision", "changes", ["actor_user_id", "revision"])
    op.create_index("ix_changes_at_revision", "changes", ["at", "revision"])
    op.create_index("ix_changes_kind_revision", "changes", ["kind", "revision"])

    op.create_table(
        "requests",
        sa.Column("caller", _TEXT, nullable=False),
        sa.Column("method", _TEXT, nullable=False),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("body_digest", sa.LargeBinary(), nullable=False),
        sa.Column("result", _JSON),
        sa.Column("revision", _KEY),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("caller", "method", "request_id", name=op.f("pk_requests")),
    )
    op.create_index("ix_requests_created_at", "requests", ["created_at"])

    op.create_table(
        "sites",
        sa.Column("site_id", _KEY, sa.Identity(always=True), nullable=False),
        sa.Column("site_slug", _TEXT, nullable=False),
        sa.Column("site_name", _TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_sites")),
        sa.UniqueConstraint("site_slug", name=op.f("uq_sites_site_slug")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "store_state",
        sa.Column("row_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", _TEXT, nullable=False),
        sa.Column("revision", _KEY, nullable=False),
        sa.Column("head_hash", sa.LargeBinary(), nullable=False),
        sa.Column("anchor_revision", _KEY, nullable=False),
        sa.Column("anchor_hash", sa.LargeBinary(), nullable=False),
        sa.Column("oldest_server", sa.Integer(), nullable=False),
        sa.CheckConstraint("row_id = 1", name=op.f("ck_store_state_row_id")),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_store_state")),
    )
    op.create_table(
        "users",
        sa.Column("user_id", _KEY, sa.Identity(always=True), nullable=False),
        sa.Column("login", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("role", _TEXT, nullable=False),
        sa.Column("display_name", _TEXT, nullable=False),
        sa.Column("email", _TEXT, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("kind IN ('human', 'service')", name=op.f("ck_users_kind")),
        sa.CheckConstraint(
            "role IN ('administrator', 'service', 'member', 'guest')", name=op.f("ck_users_role")
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
        sa.UniqueConstraint("login", name=op.f("uq_users_login")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_users_email_user_id", "users", ["email", "user_id"])
    op.create_index("ix_users_role_active_user_id", "users", ["role", "active", "user_id"])

    op.create_table(
        "agents",
        sa.Column("agent_id", _KEY, sa.Identity(always=True), nullable=False),
        sa.Column("agent_slug", _TEXT, nullable=False),
        sa.Column("agent_name", _TEXT, nullable=False),
        sa.Column("owner_id", _KEY, nullable=False),
        sa.Column("config", _JSON, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("site_scope", _KEY),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint(
            "status IN ('active', 'inactive', 'archived')", name=op.f("ck_agents_status")
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["users.user_id"],
            name=op.f("fk_agents_owner_id_users"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["site_scope"],
            ["sites.site_id"],
            name=op.f("fk_agents_site_scope_sites"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("agent_id", name=op.f("pk_agents")),
        sa.UniqueConstraint("agent_slug", name=op.f("uq_agents_agent_slug")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_agents_owner_id_agent_id", "agents", ["owner_id", "agent_id"])
    op.create_index("ix_agents_site_scope", "agents", ["site_scope"])

    op.create_table(
        "change_subjects",
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("subject_id", _TEXT, nullable=False),
        sa.Column("revision", _KEY, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["revision"],
            ["changes.revision"],
            name=op.f("fk_change_subjects_revision_changes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("kind", "subject_id", "revision", name=op.f("pk_change_subjects")),
    )
    op.create_index("ix_change_subjects_revision", "change_subjects", ["revision"])

    op.create_table(
        "reservations",
        sa.Column("agent_slug", _TEXT, nullable=False),
        sa.Column("owner_id", _KEY),
        sa.Column("expire_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["users.user_id"],
            name=op.f("fk_reservations_owner_id_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("agent_slug", name=op.f("pk_reservations")),
    )
    op.create_index("ix_reservations_expire_at", "reservations", ["expire_at"])
    op.create_index("ix_reservations_owner_id", "reservations", ["owner_id"])

    op.create_table(
        "grants",
        sa.Column("agent_id", _KEY, nullable=False),
        sa.Column("user_id", _KEY, nullable=False),
        sa.Column("role", _TEXT, nullable=False),
        sa.Column("granted_by", _KEY),
        sa.Column("granted_at", _TIME, nullable=False),
        sa.Column("expire_at", _TIME),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'admin')", name=op.f("ck_grants_role")),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents.agent_id"],
            name=op.f("fk_grants_agent_id_agents"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["granted_by"],
            ["users.user_id"],
            name=op.f("fk_grants_granted_by_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_grants_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("agent_id", "user_id", name=op.f("pk_grants")),
    )
    op.create_index(
        "ix_grants_agent_id_granted_at_user_id", "grants", ["agent_id", "granted_at", "user_id"]
    )
    op.create_index("ix_grants_granted_by", "grants", ["granted_by"])
    op.create_index("ix_grants_user_id_agent_id", "grants", ["user_id", "agent_id"])

    op.create_table(
        "tokens",
        sa.Column("token_id", _TEXT, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("agent_id", _KEY),
        sa.Column("user_id", _KEY),
        sa.Column("label", _TEXT, nullable=False),
        sa.Column("ceiling", _JSON),
        sa.Column("act_as_owner", sa.Boolean(), nullable=False),
        sa.Column("created_by", _KEY, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expire_at", _TIME),
        sa.Column("revoked_at", _TIME),
        sa.Column("rotated_from", _TEXT),
        sa.Column("replaced_by", _TEXT),
        sa.Column("last_used_at", _TIME),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(agent_id IS NULL) <> (user_id IS NULL)", name=op.f("ck_tokens_bearer")
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents.agent_id"],
            name=op.f("fk_tokens_agent_id_agents"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["created_by"],
            ["users.user_id"],
            name=op.f("fk_tokens_created_by_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )
    op.create_index(
        "ix_tokens_agent_id_created_at_token_id", "tokens", ["agent_id", "created_at", "token_id"]
    )
    op.create_index("ix_tokens_created_at_token_id", "tokens", ["created_at", "token_id"])
    op.create_index("ix_tokens_created_by", "tokens", ["created_by"])

    op.create_table(
        "token_vouchers",
        sa.Column("token_id", _TEXT, nullable=False),
        sa.Column("user_id", _KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["token_id"],
            ["tokens.token_id"],
            name=op.f("fk_token_vouchers_token_id_tokens"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.user_id"],
            name=op.f("fk_token_vouchers_user_id_users"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("token_id", "user_id", name=op.f("pk_token_vouchers")),
    )
    op.create_index("ix_token_vouchers_user_id_token_id", "token_vouchers", ["user_id", "token_id"])
    op.create_index(
        "ix_tokens_user_id_created_at_token_id", "tokens", ["user_id", "created_at", "token_id"]
    )
    op.execute(
        sa.text(
            "INSERT INTO store_state (row_id, epoch, revision, head_hash, anchor_revision,"
            " anchor_hash, oldest_server) VALUES (1, :epoch, 0, :genesis, 0, :genesis, 1)"
        ).bindparams(epoch=secrets.token_hex(16), genesis=bytes(32))
    )


def downgrade() -> None:
    """Drop everything."""
    for table in (
        "token_vouchers",
        "tokens",
        "grants",
        "reservations",
        "change_subjects",
        "agents",
        "users",
        "store_state",
        "sites",
        "requests",
        "changes",
    ):
        op.drop_table(table)
