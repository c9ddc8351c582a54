"""Writers that remember what was acknowledged, so that it can be looked for after a fault."""

import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from accredit.v1.types_pb2 import Role
from tests.server import Person, RefusedError, Server

ROLES = ("ROLE_VIEWER", "ROLE_OPERATOR", "ROLE_ADMIN")


@dataclass
class ExpectedAgent:
    """An agent as it was last acknowledged."""

    agent_id: int
    slug: str
    count: int = 0
    role: str = ""
    """That of the guest, empty without a grant."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Of its tokens that work, by id; the text is empty where a crash swallowed it."""


@dataclass(frozen=True)
class Step:
    """One change to make, and what is known once it is acknowledged."""

    method: str
    fields: dict[str, Any]
    acknowledged: Callable[[Any], None]
    lost: Callable[[str], None] = lambda token_id: None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Writer:
    """Makes changes, each under a request id, to agents that nobody else touches.

    A change that was not acknowledged is repeated under the same id when the writer goes on.
    """

    def __init__(self, number: int, guest_id: int) -> None:
        self.changes = 0
        self.agents: dict[int, ExpectedAgent] = {}
        self.revoked: list[str] = []
        self.deleted: list[int] = []
        self._number = number
        self._guest_id = guest_id
        self._random = random.Random(number)
        self._names = 0
        self._pending: Step | None = None

    def write(self, admin: Person, acknowledged: Callable[[], object]) -> RefusedError:
        """Make changes until one fails: how."""
        while True:
            self._pending = step = self._pending or self._next(admin)
            try:
                answer = admin.call(step.method, request_id=step.request_id, **step.fields)
            except RefusedError as refusal:
                if refusal.reason != "SECRET_ALREADY_SHOWN":
                    return refusal
                step.lost(refusal.metadata["token_id"])
            else:
                step.acknowledged(answer)
            self._pending = None
            self.changes += 1
            acknowledged()

    def settle(self, admin: Person) -> None:
        """Repeat the change that was not acknowledged, if there is one."""

        class Settled(Exception):
            pass

        def stop() -> None:
            raise Settled

        if self._pending is not None:
            try:
                raise self.write(admin, stop)
            except Settled:
                return

    def check(self, server: Server) -> None:
        """AssertionError unless everything that was acknowledged is there."""
        for expected in self.agents.values():
            ref = {"agent_id": expected.agent_id}
            found = server.admin.call("AgentService/GetAgent", agent=ref)
            assert found.agent.agent_slug == expected.slug
            assert found.agent.config["count"] == expected.count
            roles = [
                Role.Name(grant.role)
                for grant in found.access_grants
                if grant.principal.user_id == self._guest_id
            ]
            assert roles == ([expected.role] if expected.role else [])
            listed = server.admin.call("TokenService/ListTokens", agent=ref, page_size=500)
            assert {token.token_id for token in listed.tokens} == set(expected.secrets)
            for token_id, secret in expected.secrets.items():
                if secret:
                    who = server.call("AuthService/WhoAmI", secret)
                    assert who.token.token_id == token_id
        for secret in self.revoked:
            answer = server.admin.call("AuthService/Authenticate", token=secret)
            assert answer.WhichOneof("outcome") == "denial"
        gone = [{"agent_id": agent_id} for agent_id in self.deleted]
        if gone:
            assert not server.admin.call("AgentService/BatchGetAgents", agents=gone).agents

    def _next(self, admin: Person) -> Step:
        if not self.agents:
            return self._create(admin)
        agent = self._random.choice(list(self.agents.values()))
        steps: list[Callable[[], Step]] = [
            lambda: self._create(admin),
            lambda: self._update(agent),
            lambda: self._update(agent),
            lambda: self._rename(agent),
            lambda: self._grant(agent),
            lambda: self._mint(agent),
        ]
        if agent.role:
            steps.append(lambda: self._withdraw(agent))
        if agent.secrets:
            steps += [lambda: self._rotate(agent), lambda: self._revoke(agent)]
        if len(self.agents) > 3:
            steps += [lambda: self._delete(agent)] * 2
        return self._random.choice(steps)()

    def _slug(self) -> str:
        self._names += 1
        return f"writer-{self._number}-{self._names}"

    def _create(self, admin: Person) -> Step:
        def acknowledged(answer: Any) -> None:
            made = answer.agent
            self.agents[made.agent_id] = ExpectedAgent(made.agent_id, made.agent_slug)

        fields = {
            "agent_slug": self._slug(),
            "owner": {"user_id": admin.user_id},
            "config": {"count": 0},
        }
        return Step("AgentService/CreateAgent", fields, acknowledged)

    def _update(self, agent: ExpectedAgent) -> Step:
        def acknowledged(_answer: Any) -> None:
            agent.count += 1

        update = {"config": {"count": agent.count + 1}}
        return Step("AgentService/UpdateAgent", {**_named(agent), "update": update}, acknowledged)

    def _rename(self, agent: ExpectedAgent) -> Step:
        def acknowledged(answer: Any) -> None:
            agent.slug = answer.agent.agent_slug

        fields = {**_named(agent), "new_slug": self._slug()}
        return Step("AgentService/RenameAgent", fields, acknowledged)

    def _grant(self, agent: ExpectedAgent) -> Step:
        role = self._random.choice(ROLES)

        def acknowledged(_answer: Any) -> None:
            agent.role = role

        fields = {**_named(agent), "principal": {"user_id": self._guest_id}, "role": role}
        return Step("AccessService/GrantAccess", fields, acknowledged)

    def _withdraw(self, agent: ExpectedAgent) -> Step:
        def acknowledged(_answer: Any) -> None:
            agent.role = ""

        fields = {**_named(agent), "principal": {"user_id": self._guest_id}}
        return Step("AccessService/RevokeAccess", fields, acknowledged)

    def _mint(self, agent: ExpectedAgent) -> Step:
        def acknowledged(answer: Any) -> None:
            agent.secrets[answer.token.token_id] = answer.secret

        def lost(token_id: str) -> None:
            agent.secrets[token_id] = ""

        fields = {**_named(agent), "full_rights": True}
        return Step("TokenService/CreateToken", fields, acknowledged, lost)

    def _rotate(self, agent: ExpectedAgent) -> Step:
        old = self._random.choice(list(agent.secrets))

        def acknowledged(answer: Any) -> None:
            lost(answer.token.token_id)
            agent.secrets[answer.token.token_id] = answer.secret

        def lost(token_id: str) -> None:
            self.revoked.append(agent.secrets.pop(old) or "nothing")
            agent.secrets[token_id] = ""

        fields = {"token_id": old, "overlap": {"seconds": 0}}
        return Step("TokenService/RotateToken", fields, acknowledged, lost)

    def _revoke(self, agent: ExpectedAgent) -> Step:
        token_id = self._random.choice(list(agent.secrets))

        def acknowledged(_answer: Any) -> None:
            self.revoked.append(agent.secrets.pop(token_id) or "nothing")

        return Step("TokenService/RevokeToken", {"token_id": token_id}, acknowledged)

    def _delete(self, agent: ExpectedAgent) -> Step:
        def acknowledged(_answer: Any) -> None:
            del self.agents[agent.agent_id]
            self.revoked += [secret for secret in agent.secrets.values() if secret]
            self.deleted.append(agent.agent_id)

        return Step("AgentService/DeleteAgent", _named(agent), acknowledged)


def _named(agent: ExpectedAgent) -> dict[str, Any]:
    return {"agent": {"agent_id": agent.agent_id}}


def check_all(server: Server, writers: Iterable[Writer], *, changes_before: int) -> None:
    """AssertionError unless the store holds what the writers were told, each change once."""
    writers = list(writers)
    for writer in writers:
        writer.settle(server.admin)
        writer.check(server)
    revisions = logged_revisions(server)
    assert revisions == list(range(1, len(revisions) + 1))
    assert len(revisions) == changes_before + sum(writer.changes for writer in writers)
    assert is_intact(server)


def logged_revisions(server: Server) -> list[int]:
    """The revisions of all changes, as they are listed."""
    revisions: list[int] = []
    token = ""
    while True:
        page = server.admin.call("ChangeService/ListChanges", page_size=500, page_token=token)
        revisions += [change.revision for change in page.changes]
        if not (token := page.next_page_token):
            return revisions


def is_intact(server: Server) -> bool:
    """Whether the chain of changes verifies, to its end."""
    token = ""
    while True:
        page = server.admin.call("ChangeService/VerifyChanges", page_token=token)
        if not page.intact:
            return False
        if not (token := page.next_page_token):
            return True
