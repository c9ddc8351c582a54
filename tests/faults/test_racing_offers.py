"""Whoever answers an offer at the same moment as somebody else, one of them does."""

from functools import partial
from pathlib import Path
from typing import Any

from accredit_service.abilities.calls.app import Limits
from accredit_storage.records import UserId
from tests.faults.racing import answers, race, reasons, spread
from tests.server import Person, Server, running_server

GONE = ("NOT_FOUND", "TRANSFER_OFFER_NOT_FOUND")


def offer(giver: Person, agent_id: int, to: Person) -> int:
    made = giver.call(
        "AgentService/TransferAgent",
        agent={"agent_id": agent_id},
        new_owner={"user_id": to.user_id},
    )
    return int(made.offer.offer_id)


def owner_of(server: Server, agent_id: int) -> int:
    found: Any = server.admin.call("AgentService/GetAgent", agent={"agent_id": agent_id})
    return int(found.agent.owner_id)


def test_an_offer_is_accepted_or_withdrawn_and_never_both(server: Server) -> None:
    for _ in range(8):
        giver, heir = server.user(), server.user()
        agent_id = server.agent(giver).agent_id
        offer_id = offer(giver, agent_id, heir)
        with spread(heir, connections=3) as heirs:
            outcomes = race(
                [
                    *(
                        partial(one.call, "AgentService/AcceptTransfer", offer_id=offer_id)
                        for one in heirs
                    ),
                    partial(giver.call, "AgentService/DeclineTransfer", offer_id=offer_id),
                ]
            )
        assert len(answers(outcomes)) == 1
        assert set(reasons(outcomes)) == {GONE}
        withdrawn = answers(outcomes[-1:]) != []
        assert owner_of(server, agent_id) == (giver if withdrawn else heir).user_id


def test_who_may_own_one_agent_accepts_or_creates_one_only(
    database_url: str, tmp_path: Path
) -> None:
    with running_server(database_url, tmp_path, limits=Limits(agents_per_user=1)) as server:
        for _ in range(4):
            heir = server.user()
            givers = [server.user() for _ in range(2)]
            offers = [offer(one, server.agent(one).agent_id, heir) for one in givers]
            with spread(heir, connections=3) as heirs:
                outcomes = race(
                    [
                        *(
                            partial(one.call, "AgentService/AcceptTransfer", offer_id=offer_id)
                            for one, offer_id in zip(heirs, offers, strict=False)
                        ),
                        partial(
                            heirs[-1].call,
                            "AgentService/CreateAgent",
                            agent_slug=server.name("mine"),
                        ),
                    ]
                )
            assert len(answers(outcomes)) == 1
            assert set(reasons(outcomes)) == {("RESOURCE_EXHAUSTED", "AGENT_LIMIT_REACHED")}
            with server.app.store.read() as tx:
                assert tx.agents.count_owned(UserId(heir.user_id)) == 1


def test_a_choice_never_outlives_the_grant_that_it_was_made_under(server: Server) -> None:
    for _ in range(8):
        owner, user = server.user(), server.user()
        agent = {"agent_id": server.agent(owner).agent_id}
        server.grant(agent["agent_id"], user)
        outcomes = race(
            [
                partial(user.call, "AgentService/SetDefaultAgent", agent=agent),
                partial(
                    owner.call,
                    "AccessService/RevokeAccess",
                    agent=agent,
                    principal={"user_id": user.user_id},
                ),
            ]
        )
        assert answers(outcomes[1:])
        assert set(reasons(outcomes)) <= {("PERMISSION_DENIED", "AGENT_ACCESS_DENIED")}
        found = server.admin.call("UserService/GetUser", user={"user_id": user.user_id})
        assert found.user.default_agent_id == 0
