"""Answers from memory while what they rest on changes: never older than what was acknowledged."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accredit_service.memory import Room
from tests.server import Person, Server, running_server

pytestmark = pytest.mark.timeout(180)
ROUNDS, READERS, AGENTS = 150, 6, 3
#: So little that much is read again and again, while it changes.
LITTLE = Room(records=9_000, replies=9_000, bound=60)


class Grants:
    """Roles that change in turn, and how far that was acknowledged."""

    def __init__(self, server: Server) -> None:
        self.service, self.member = server.user("SERVICE"), server.user()
        owner = server.user()
        self.agent_ids = [server.agent(owner).agent_id for _ in range(AGENTS)]
        self.admin = server.admin
        for agent_id in self.agent_ids:
            server.grant(agent_id, self.member, "OPERATOR")
        # Even: the role is OPERATOR, odd: VIEWER. Begun is counted before, ended after the call.
        self.begun = dict.fromkeys(self.agent_ids, 0)
        self.ended = dict.fromkeys(self.agent_ids, 0)

    def change(self, agent_id: int) -> None:
        """The other role."""
        self.begun[agent_id] += 1
        role = "ROLE_VIEWER" if self.begun[agent_id] % 2 else "ROLE_OPERATOR"
        self.admin.call(
            "AccessService/GrantAccess",
            agent={"agent_id": agent_id},
            principal={"user_id": self.member.user_id},
            role=role,
        )
        self.ended[agent_id] += 1

    def ask(self, at: Server, **fields: Any) -> list[str]:
        """What is wrong in the answers about all of them, all of one moment."""
        before = dict(self.ended)
        demands = [
            {"agent": {"agent_id": agent_id}, "minimum_role": "ROLE_OPERATOR"}
            for agent_id in self.agent_ids
        ]
        answer = replace(self.service, server=at).call(
            "AuthService/BatchAuthorize", token=self.member.token, demands=demands, **fields
        )
        after = dict(self.begun)
        wrong = []
        for agent_id, decision in zip(self.agent_ids, answer.decisions, strict=True):
            is_operator = decision == 1
            possible = {turn % 2 == 0 for turn in range(before[agent_id], after[agent_id] + 1)}
            if is_operator not in possible:
                wrong.append(f"agent {agent_id}: {is_operator} from {before} to {after}")
        return wrong


def wrong_answers(grants: Grants, servers: Sequence[Server], **fields: Any) -> list[str]:
    """All that is wrong while roles change one after the other."""
    is_over = threading.Event()

    def read(number: int) -> list[str]:
        found: list[str] = []
        while not is_over.is_set():
            found += grants.ask(servers[number % len(servers)], **fields)
        return found

    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(read, number) for number in range(READERS)]
        try:
            for number in range(ROUNDS):
                grants.change(grants.agent_ids[number % AGENTS])
        finally:
            is_over.set()
        return [one for reader in readers for one in reader.result()]


@pytest.mark.parametrize("room", [Room(bound=60), LITTLE], ids=["all", "little"])
@pytest.mark.parametrize("with_basis", [False, True])
def test_no_answer_is_older_than_what_was_acknowledged(
    database_url: str, engine_name: str, tmp_path: Path, room: Room, with_basis: bool
) -> None:
    files = tmp_path / "files"
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(
                running_server(database_url, tmp_path / name, files=files, more={"room": room})
            )
            for name in ("one", "other")
        )
        grants = Grants(one)
        # On PostgreSQL another server is behind, unless it is asked not to be.
        fresh: dict[str, Any] = {"consistency": {"fully_consistent": True}}
        fields = {} if engine_name == "sqlite" else fresh
        assert not wrong_answers(grants, (one, other), include_basis=with_basis, **fields)
        assert not wrong_answers(grants, (one,), include_basis=with_basis)


def at(server: Server, person: Person) -> Person:
    """The same person at another server."""
    return replace(person, server=server)


@pytest.mark.parametrize("room", [Room(bound=60), LITTLE], ids=["all", "little"])
def test_what_was_revoked_on_one_server_mints_nothing_on_another(
    database_url: str, tmp_path: Path, room: Room
) -> None:
    files = tmp_path / "files"
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(
                running_server(database_url, tmp_path / name, files=files, more={"room": room})
            )
            for name in ("one", "other")
        )
        owner = one.user()
        for _ in range(60):
            token = one.user_token(owner, full_rights=True)
            there = at(other, token)
            there.call("AuthService/WhoAmI")
            one.admin.call("TokenService/RevokeToken", token_id=token.token_id)
            user = {"user_id": owner.user_id}
            refused = there.refused("TokenService/CreateToken", user=user, full_rights=True)
            assert refused.reason == "TOKEN_INVALID"
