"""What the storage tests make again and again, and the moments they make it at."""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from alembic import command

from accredit_storage import migrate
from accredit_storage.engine import make_engine
from accredit_storage.records import (
    Actor,
    Agent,
    AgentStatus,
    Ceiling,
    ChangeKind,
    Draft,
    MemoryFileType,
    MemoryLayer,
    NewAgent,
    NewSite,
    NewUser,
    Role,
    Site,
    StoredDefinition,
    StoredSeed,
    Subject,
    SubjectKind,
    Token,
    User,
    UserKind,
    UserRole,
)
from accredit_storage.store import Transaction

Result = TypeVar("Result")

NOW = datetime(2026, 3, 1, 12, 30, 45, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
EARLIER = NOW - timedelta(hours=1)
SEEDS = {"SOUL.md": "You are a scribe.\r\n\0 é \U0001f916", "MEMORY.md": ""}


def user(
    tx: Transaction,
    login: str = "ada",
    *,
    role: UserRole = UserRole.MEMBER,
    email: str = "",
    active: bool = True,
) -> User:
    added = tx.users.add(
        NewUser(
            login=login,
            kind=UserKind.HUMAN,
            role=role,
            display_name=login.title(),
            email=email,
            active=active,
        ),
        at=NOW,
    )
    assert added is not None
    return added


def agent(
    tx: Transaction,
    owner: User,
    slug: str = "scribe",
    *,
    name: str = "An agent",
    config: Mapping[str, Any] | None = None,
    site: Site | None = None,
    status: AgentStatus = AgentStatus.ACTIVE,
) -> Agent:
    added = tx.agents.add(
        NewAgent(
            agent_slug=slug,
            agent_name=name,
            config=config or {},
            site_scope=None if site is None else site.site_id,
            status=status,
        ),
        owner_id=owner.user_id,
        at=NOW,
    )
    assert added is not None
    return added


def site(tx: Transaction, slug: str = "north") -> Site:
    added = tx.sites.add(NewSite(site_slug=slug, site_name=slug.title()), at=NOW)
    assert added is not None
    return added


def put_definition(
    tx: Transaction,
    slug: str = "scribe",
    source: str = "a-plugin",
    *,
    at: datetime = NOW,
    **content: Any,
) -> tuple[StoredDefinition | None, StoredDefinition]:
    said = {
        "label": "A scribe",
        "description": "Writes things down",
        "memory_seeds": SEEDS,
        "owner_id": None,
        "owner_resolver": "",
        "default_config": {"model": "m", "tools": [1, None, "x"]},
        "meta": {"from": {"file": "scribe.yaml"}},
        "priority": 10,
        "registered_by": None,
    }
    return tx.definitions.put(agent_slug=slug, source=source, at=at, **{**said, **content})


def stored_seeds(texts: Mapping[str, str]) -> Mapping[str, StoredSeed]:
    """What a definition has of these seeds."""
    encoded = {filename: text.encode() for filename, text in texts.items()}
    return {
        filename: StoredSeed(len(text), hashlib.sha256(text).digest())
        for filename, text in encoded.items()
    }


def put_memory_file_type(
    tx: Transaction, filename: str = "NOTES.md", *, at: datetime = NOW, **content: Any
) -> tuple[MemoryFileType | None, MemoryFileType]:
    said = {
        "layer": MemoryLayer.USER,
        "priority": 50,
        "is_protected": False,
        "read_only": False,
        "required_capability": "",
        "label": "",
    }
    return tx.memory_file_types.put(filename=filename, at=at, **{**said, **content})


def token(
    tx: Transaction,
    token_id: str,
    bearer: Agent | User,
    creator: User,
    *,
    at: datetime = NOW,
    expire_at: datetime | None = None,
    revoked_at: datetime | None = None,
    ceiling: Ceiling | None = None,
    key_id: str = "k1",
    vouchers: Sequence[int] = (),
) -> Token:
    """A token whose digest is its id, filled up."""
    made = Token(
        token_id=token_id,
        agent_id=bearer.agent_id if isinstance(bearer, Agent) else None,
        user_id=bearer.user_id if isinstance(bearer, User) else None,
        label="a label",
        ceiling=ceiling,
        act_as_owner=False,
        created_by=creator.user_id,
        created_at=at,
        expire_at=expire_at,
        revoked_at=revoked_at,
        rotated_from=None,
        replaced_by=None,
        last_used_at=None,
        version=1,
    )
    tx.tokens.add(made, digest_of(token_id), key_id, vouchers)
    return made


def digest_of(token_id: str) -> bytes:
    return token_id.encode().ljust(32, b"\0")


def draft(
    *subjects: Subject,
    kind: ChangeKind = ChangeKind.AGENT_UPDATED,
    actor: Actor | None = None,
    request_id: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    at: datetime = NOW,
) -> Draft:
    return Draft(
        kind=kind,
        actor=actor or Actor(),
        request_id=request_id,
        subjects=subjects,
        before=before,
        after=after,
        at=at,
    )


def about_agent(agent_id: int) -> Subject:
    return Subject(kind=SubjectKind.AGENT, subject_id=str(agent_id))


def about_user(user_id: int) -> Subject:
    return Subject(kind=SubjectKind.USER, subject_id=str(user_id))


def at_least(role: Role) -> Ceiling:
    return Ceiling(max_role=role, capabilities=("chat", "view_logs"))


def all_at_once(times: int, act: Callable[[int], Result]) -> list[Result]:
    """What ``act`` answers to 0, 1, … in as many threads, which start together."""
    gate = threading.Barrier(times)

    def enter(number: int) -> Result:
        gate.wait(timeout=30)
        return act(number)

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(enter, range(times)))


def downgrade(url: str, revision: str) -> None:
    """Take a database back to the schema of an older revision."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection, migrate._alone(connection):
            command.downgrade(migrate.alembic_config(connection), revision)
    finally:
        engine.dispose()
