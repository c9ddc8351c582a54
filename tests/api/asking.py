"""The questions that most tests end with, each answered by one word or a list of ids."""

from datetime import UTC, datetime
from typing import Any

from google.rpc.error_details_pb2 import ErrorInfo
from sqlalchemy import select

from accredit.v1 import types_pb2
from accredit_storage.records import NewAgent, UserId
from accredit_storage.schema import change_subjects, changes
from tests.server import Person, Server


def outcome(answer: Any) -> str:
    """ALLOWED, or why it is denied."""
    if answer.WhichOneof("outcome") != "denial":
        return "ALLOWED"
    return decision(answer.denial.reason)


def decision(value: int) -> str:
    """A decision's name without its prefix."""
    return types_pb2.Decision.Name(value).removeprefix("DECISION_")  # type: ignore[arg-type]


def reason(error: Any) -> str:
    """Why one item of a batch failed, as its ErrorInfo says."""
    info = ErrorInfo()
    assert any(detail.Unpack(info) for detail in error.details)
    return info.reason


def rests_on(basis: Any) -> dict[str, list[str]]:
    """What an answer rests on: the ids by the kind of subject, such as {"AGENT": ["3"]}."""
    found: dict[str, list[str]] = {}
    for one in basis.depends_on:
        kind = types_pb2.SubjectKind.Name(one.kind).removeprefix("SUBJECT_KIND_")
        found.setdefault(kind, []).append(one.subject_id)
    return found


def end_of(basis: Any) -> datetime | None:
    """Until when an answer holds, None for as long as nothing changes."""
    if not basis.HasField("valid_until"):
        return None
    moment: datetime = basis.valid_until.ToDatetime(tzinfo=UTC)
    return moment


def about_agent(agent_id: int) -> dict[str, Any]:
    """The filter of a list of changes that leaves those of one agent."""
    subject = {"kind": "SUBJECT_KIND_AGENT", "subject_id": str(agent_id)}
    return {"filter": {"subjects": [subject]}}


def authenticate(server: Server, token: str) -> str:
    """Whether a token works, as a service would ask."""
    return outcome(server.admin.call("AuthService/Authenticate", token=token))


def authorize(
    server: Server, token: str, agent_id: int = 0, role: str = "VIEWER", **demand: Any
) -> str:
    """Whether a token's bearer may act on an agent, the default one for 0."""
    if agent_id:
        demand["agent"] = {"agent_id": agent_id}
    demand["minimum_role"] = f"ROLE_{role}"
    return outcome(server.admin.call("AuthService/Authorize", token=token, demand=demand))


def check(server: Server, user: Person, agent_id: int, role: str = "VIEWER", **more: Any) -> str:
    """Whether a user may act on an agent."""
    asked = {
        "principal": {"user_id": user.user_id},
        "agent": {"agent_id": agent_id},
        "minimum_role": f"ROLE_{role}",
        **more,
    }
    return outcome(server.admin.call("AccessService/CheckAccess", check=asked))


def held(person: Person, role: str, *actions: str) -> Person:
    """The same person with a token that reaches no further than a role, and has these actions."""
    ceiling = {"max_role": f"ROLE_{role}", "capabilities": list(actions)}
    return person.server.user_token(person, ceiling=ceiling)


def works(person: Person) -> bool:
    """Whether the person's own token is accepted."""
    return authenticate(person.server, person.token) == "ALLOWED"


def pages(person: Person, method: str, items: str, **query: Any) -> list[list[Any]]:
    """All pages of a list, each with what it has in its field ``items``."""
    found, token = [], ""
    while True:
        page = person.call(method, page_token=token, **query)
        found.append(list(getattr(page, items)))
        if not (token := page.next_page_token):
            return found


def newest_revision(server: Server) -> int:
    """The revision of the newest change."""
    with server.app.store.read() as tx:
        return tx.head().revision


def newest_change(server: Server) -> tuple[str, set[str]]:
    """What the newest change did, and its subjects, such as "AGENT 7"."""
    with server.app.store.read() as tx:
        newest = tx.head().revision
        kind = tx._connection.execute(select(changes.c.kind).where(changes.c.revision == newest))
        found = tx._connection.execute(
            select(change_subjects.c.kind, change_subjects.c.subject_id).where(
                change_subjects.c.revision == newest
            )
        )
        return kind.scalar_one().name, {f"{row.kind.name} {row.subject_id}" for row in found}


def listed(person: Person, **query: Any) -> list[int]:
    """The ids of the agents in a list, in its order."""
    query.setdefault("page_size", 500)
    return [one.agent_id for one in person.call("AgentService/ListAgents", **query).agents]


def add_agents(server: Server, owner: Person, count: int) -> None:
    """Many agents, straight into the store, for what is about numbers only."""
    with server.app.store.write() as tx:
        for number in range(count):
            tx.agents.add(
                NewAgent(agent_slug=f"many-{number}", agent_name="", config={}, site_scope=None),
                owner_id=UserId(owner.user_id),
                at=server.clock(),
            )


def changes_of(person: Person, **query: Any) -> list[Any]:
    """All the changes that somebody is shown."""
    return list(person.call("ChangeService/ListChanges", page_size=500, **query).changes)
