"""An owner offers an agent to somebody, who takes it or does not."""

from collections.abc import Callable
from typing import Any

import pytest

from accredit_service.abilities.agents.transfers import MAX_OFFERS
from accredit_storage.records import AgentUpdate, UserId, UserUpdate
from tests.api.asking import authenticate, check, held, newest_change, newest_revision, pages
from tests.server import Person, Server

GONE = "NOT_FOUND TRANSFER_OFFER_NOT_FOUND"


def offer(owner: Person, agent: Any, to: Person, **fields: Any) -> Any:
    """What the owner's call of TransferAgent is answered with."""
    return owner.call(
        "AgentService/TransferAgent",
        agent={"agent_id": agent.agent_id},
        new_owner={"user_id": to.user_id},
        **fields,
    )


def accept(person: Person, offer_id: int, **fields: Any) -> Any:
    return person.call("AgentService/AcceptTransfer", offer_id=offer_id, **fields)


def accepted(person: Person, offer_id: int) -> str:
    """How accepting is refused."""
    return person.refused("AgentService/AcceptTransfer", offer_id=offer_id).what


def listed(person: Person, **query: Any) -> list[int]:
    answer = person.call("AgentService/ListTransferOffers", **query)
    return [one.offer_id for one in answer.offers]


def grants(server: Server, agent: Any) -> dict[int, int]:
    answer = server.admin.call("AccessService/ListAgentAccess", agent={"agent_id": agent.agent_id})
    return {one.principal.user_id: one.role for one in answer.grants}


def test_an_owners_transfer_is_an_offer_and_changes_nothing_yet(server: Server) -> None:
    owner, heir = server.user(), server.user()
    agent = server.agent(owner)
    token = server.agent_token(owner, agent.agent_id)

    answer = offer(owner, agent, heir)

    assert (answer.agent, answer.former_owner_id, answer.tokens_revoked) == (agent, 0, 0)
    assert not answer.access_grants
    made = answer.offer
    assert made.offer_id > 0
    assert (made.agent_id, made.agent_slug) == (agent.agent_id, agent.agent_slug)
    assert (made.owner_id, made.owner_login) == (owner.user_id, owner.login)
    assert (made.new_owner_id, made.new_owner_login) == (heir.user_id, heir.login)
    assert made.expire_time.seconds - made.create_time.seconds == 7 * 24 * 3600
    assert authenticate(server, token.token) == "ALLOWED"
    assert check(server, heir, agent.agent_id) == "ROLE_INSUFFICIENT"
    assert grants(server, agent) == {owner.user_id: 3}


def test_an_agent_that_acts_as_its_owner_offers_and_an_administrators_weak_token_too(
    server: Server,
) -> None:
    owner, heir = server.user(), server.user()
    agent = server.agent(owner)
    acting = server.agent_token(owner, agent.agent_id, act_as_owner=True)
    assert offer(acting, agent, heir).HasField("offer")
    # What counts is what the token is good for, not what its user could do with another.
    chief = server.user("ADMINISTRATOR")
    own = server.agent(chief)
    weak = held(chief, "ADMIN", "chat")
    assert offer(weak, own, heir).HasField("offer")
    assert not offer(chief, own, heir).HasField("offer")


def test_whoever_accepts_owns_the_agent_and_every_token_of_it_ends(server: Server) -> None:
    owner, viewer, heir = server.user(), server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, viewer)
    tokens = [server.agent_token(one, agent.agent_id) for one in (owner, server.admin)]
    offer_id = offer(owner, agent, heir).offer.offer_id

    answer = accept(heir, offer_id)

    assert (answer.agent.owner_id, answer.former_owner_id) == (heir.user_id, owner.user_id)
    assert answer.tokens_revoked == 2
    assert {authenticate(server, one.token) for one in tokens} == {"TOKEN_INVALID"}
    stay = {one.login: one.role for one in answer.access_grants}
    assert stay == {viewer.login: 1, heir.login: 3}
    assert grants(server, agent) == {viewer.user_id: 1, heir.user_id: 3}
    assert check(server, owner, agent.agent_id) == "ROLE_INSUFFICIENT"
    assert accepted(heir, offer_id) == GONE


def test_the_receiver_decides_what_the_giver_keeps(server: Server) -> None:
    owner, heir = server.user(), server.user()
    agent = server.agent(owner)
    refusal = owner.refused(
        "AgentService/TransferAgent",
        agent={"agent_id": agent.agent_id},
        new_owner={"user_id": heir.user_id},
        keep_access=True,
    )
    assert refusal.what == "INVALID_ARGUMENT FIELD_INVALID"
    assert refusal.fields == ["keep_access"]
    accept(heir, offer(owner, agent, heir).offer.offer_id, keep_access=True)
    assert grants(server, agent) == {owner.user_id: 3, heir.user_id: 3}


def test_judging_an_offer_or_its_acceptance_only_changes_nothing(server: Server) -> None:
    owner, heir = server.user(), server.user()
    agent = server.agent(owner)

    would = offer(owner, agent, heir, validate_only=True)
    assert would.HasField("offer")
    assert (would.offer.offer_id, would.consistency_token) == (0, "")
    assert listed(heir) == []

    offer_id = offer(owner, agent, heir).offer.offer_id
    seen = accept(heir, offer_id, validate_only=True)
    assert seen.agent.owner_id == heir.user_id
    assert [one.login for one in seen.access_grants] == [heir.login]
    assert listed(heir) == [offer_id]
    assert grants(server, agent) == {owner.user_id: 3}


def test_offering_again_to_the_same_user_is_answered_with_the_open_offer(
    server: Server,
) -> None:
    owner, heir = server.user(), server.user()
    agent = server.agent(owner)
    first = offer(owner, agent, heir)
    server.clock.advance(days=1)
    before = newest_revision(server)
    again = offer(owner, agent, heir)
    assert again.offer == first.offer
    assert newest_revision(server) == before
    assert listed(owner) == [first.offer.offer_id]


def test_an_offer_to_another_user_takes_the_place_of_the_one_before(server: Server) -> None:
    owner, heir, other = server.user(), server.user(), server.user()
    agent = server.agent(owner)
    first = offer(owner, agent, heir).offer.offer_id
    second = offer(owner, agent, other).offer.offer_id
    assert second > first
    assert (listed(heir), listed(other), listed(owner)) == ([], [second], [second])
    assert accepted(heir, first) == GONE


def _deactivate(server: Server, user: Person) -> None:
    server.admin.call("UserService/DeactivateUser", user={"user_id": user.user_id})


def _reactivate(server: Server, user: Person) -> None:
    server.admin.call(
        "UserService/UpdateUser", user={"user_id": user.user_id}, update={"active": True}
    )


def _giver_off_and_on(server: Server, giver: Person, _heir: Person, _agent: Any) -> None:
    _deactivate(server, giver)
    _reactivate(server, giver)


def _receiver_off_and_on(server: Server, _giver: Person, heir: Person, _agent: Any) -> None:
    server.admin.call(
        "UserService/UpdateUser", user={"user_id": heir.user_id}, update={"active": False}
    )
    _reactivate(server, heir)


def _to_somebody_and_back(server: Server, giver: Person, _heir: Person, agent: Any) -> None:
    for owner in (server.user(), giver):
        offer(server.admin, agent, owner)


def _to_somebody(server: Server, _giver: Person, _heir: Person, agent: Any) -> None:
    offer(server.admin, agent, server.user())


def _deleted(_server: Server, giver: Person, _heir: Person, agent: Any) -> None:
    giver.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(lambda server, *_: server.clock.advance(days=7), id="its time is over"),
        pytest.param(_giver_off_and_on, id="the giver was deactivated"),
        pytest.param(_receiver_off_and_on, id="the receiver was deactivated"),
        pytest.param(_to_somebody_and_back, id="the agent had another owner"),
        pytest.param(_deleted, id="the agent is deleted"),
    ],
)
def test_an_offer_ends_for_good_with_what_it_rests_on(
    server: Server, happens: Callable[..., None]
) -> None:
    giver, heir = server.user(), server.user()
    agent = server.agent(giver)
    offer_id = offer(giver, agent, heir).offer.offer_id

    happens(server, giver, heir, agent)

    assert accepted(heir, offer_id) == GONE
    for person in (heir, giver):
        refusal = person.refused("AgentService/DeclineTransfer", offer_id=offer_id)
        assert refusal.what == GONE
        assert listed(person) == []


@pytest.mark.parametrize("what", ["the owner", "the giver's activity"])
def test_an_offer_that_was_left_behind_gives_nothing_away(server: Server, what: str) -> None:
    giver, heir, other = server.user(), server.user(), server.user()
    agent = server.agent(giver)
    offer_id = offer(giver, agent, heir).offer.offer_id
    # As no call would do it.
    with server.app.store.write() as tx:
        if what == "the owner":
            tx.agents.update(
                agent.agent_id, AgentUpdate(owner_id=UserId(other.user_id)), at=server.clock()
            )
        else:
            tx.users.update(UserId(giver.user_id), UserUpdate(active=False), at=server.clock())
    assert accepted(heir, offer_id) == GONE


def test_a_deleted_receiver_leaves_no_offer_behind(server: Server) -> None:
    giver, heir = server.user(), server.user()
    agent = server.agent(giver)
    offer_id = offer(giver, agent, heir).offer.offer_id
    server.admin.call("UserService/DeleteUser", user={"user_id": heir.user_id})
    assert listed(giver) == []
    kind, subjects = newest_change(server)
    assert kind == "USER_DELETED"
    assert {f"TRANSFER_OFFER {offer_id}", f"USER {giver.user_id}"} <= subjects


def test_an_offer_lasts_to_the_very_last_moment_and_no_longer(own_server: Server) -> None:
    server = own_server
    server.clock.stop()
    giver, heir = server.user(), server.user()
    agent = server.agent(giver)
    offer_id = offer(giver, agent, heir).offer.offer_id
    server.clock.advance(days=7, microseconds=-1)
    assert listed(heir) == [offer_id]
    accept(heir, offer_id, validate_only=True)
    server.clock.advance(microseconds=1)
    assert accepted(heir, offer_id) == GONE
    # What has expired is no obstacle to the next one.
    assert offer(giver, agent, heir).offer.offer_id > offer_id


@pytest.mark.parametrize("side", ["receiver", "giver"])
def test_either_side_ends_an_offer_and_then_it_is_over_for_both(server: Server, side: str) -> None:
    giver, heir = server.user(), server.user()
    agent = server.agent(giver)
    made = offer(giver, agent, heir).offer
    by = heir if side == "receiver" else giver
    answer = by.call("AgentService/DeclineTransfer", offer_id=made.offer_id)
    assert answer.offer == made
    assert accepted(heir, made.offer_id) == GONE
    again = by.refused("AgentService/DeclineTransfer", offer_id=made.offer_id)
    assert again.what == GONE
    assert grants(server, agent) == {giver.user_id: 3}


def test_other_peoples_offers_and_unknown_ones_are_refused_alike(server: Server) -> None:
    giver, heir, stranger = server.user(), server.user(), server.user()
    offer_id = offer(giver, server.agent(giver), heir).offer.offer_id
    for method in ("AcceptTransfer", "DeclineTransfer"):
        for person in (stranger, server.admin):
            other = person.refused(f"AgentService/{method}", offer_id=offer_id)
            unknown = person.refused(f"AgentService/{method}", offer_id=2**62)
            assert other.what == unknown.what == GONE
            assert other.message.replace(str(offer_id), "N") == unknown.message.replace(
                str(2**62), "N"
            )
    # Nor can the giver accept for the receiver.
    assert accepted(giver, offer_id) == GONE
    assert accepted(heir, 0) == "INVALID_ARGUMENT FIELD_INVALID"


@pytest.mark.parametrize("method", ["AcceptTransfer", "DeclineTransfer"])
def test_it_takes_the_receivers_own_token_with_all_its_reach(server: Server, method: str) -> None:
    giver, heir = server.user(), server.user()
    offer_id = offer(giver, server.agent(giver), heir).offer.offer_id
    own = server.agent(heir)
    acting = server.agent_token(heir, own.agent_id, act_as_owner=True)

    def refused(person: Person, number: int = offer_id) -> str:
        return person.refused(f"AgentService/{method}", offer_id=number).what

    assert refused(acting) == "PERMISSION_DENIED USER_TOKEN_REQUIRED"
    assert refused(server.agent_token(heir, own.agent_id)) == (
        "PERMISSION_DENIED USER_TOKEN_REQUIRED"
    )
    # Judged before the offer: whoever holds such a token learns of none.
    for number in (offer_id, 2**62):
        assert refused(held(heir, "OPERATOR"), number) == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    held(heir, "ADMIN").call(f"AgentService/{method}", offer_id=offer_id)


def test_how_many_agents_the_receiver_may_own_is_judged_when_they_accept(
    strict_server: Server,
) -> None:
    server = strict_server
    giver, heir, chief = server.user(), server.user(), server.user("ADMINISTRATOR")
    owned = server.agent(heir)
    agent = server.agent(giver)
    offer_id = offer(giver, agent, heir).offer.offer_id

    assert accepted(heir, offer_id) == "RESOURCE_EXHAUSTED AGENT_LIMIT_REACHED"
    heir.call("AgentService/DeleteAgent", agent={"agent_id": owned.agent_id})
    assert accept(heir, offer_id).agent.owner_id == heir.user_id

    server.agent(chief)
    more = offer(heir, agent, chief).offer.offer_id
    weak = held(chief, "ADMIN", "chat")
    assert accepted(weak, more) == "RESOURCE_EXHAUSTED AGENT_LIMIT_REACHED"
    assert accept(chief, more).agent.owner_id == chief.user_id


@pytest.mark.parametrize("side", ["giver", "receiver"])
def test_nobody_has_more_open_offers_than_twenty(server: Server, side: str) -> None:
    giver, heir = server.user(), server.user()
    made = []
    for _ in range(MAX_OFFERS):
        by, to = (giver, server.user()) if side == "giver" else (server.user(), heir)
        agent = server.agent(by)
        made.append((by, to, agent, offer(by, agent, to).offer.offer_id))
    by, to = (giver, server.user()) if side == "giver" else (server.user(), heir)
    refusal = by.refused(
        "AgentService/TransferAgent",
        agent={"agent_id": server.agent(by).agent_id},
        new_owner={"user_id": to.user_id},
    )
    assert refusal.what == "RESOURCE_EXHAUSTED TRANSFER_OFFER_LIMIT_REACHED"
    assert refusal.metadata == {"limit": str(MAX_OFFERS), "side": side}

    # One that only takes the place of another is no more; nor is one asked for again.
    first_by, first_to, agent, first_id = made[0]
    assert offer(first_by, agent, first_to).offer.offer_id == first_id
    offer(first_by, agent, server.user())
    first_by.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})
    assert offer(by, server.agent(by), to).HasField("offer")


def test_a_list_has_ones_open_offers_by_side_in_pages(server: Server) -> None:
    ada, ben, eve = server.user(), server.user(), server.user()
    made = [offer(ada, server.agent(ada), ben).offer.offer_id for _ in range(3)]
    received = [offer(eve, server.agent(eve), ada).offer.offer_id for _ in range(2)]
    offer(eve, server.agent(eve), ben)

    assert listed(ada) == made + received
    assert listed(ada, direction="OFFER_DIRECTION_MADE") == made
    assert listed(ada, direction="OFFER_DIRECTION_RECEIVED") == received
    assert listed(server.admin, user={"login": ada.login}) == made + received
    paged = pages(ada, "AgentService/ListTransferOffers", "offers", page_size=2)
    assert [[one.offer_id for one in page] for page in paged] == [
        made[:2],
        [made[2], received[0]],
        [received[1]],
    ]
    foreign = ben.refused("AgentService/ListTransferOffers", user={"user_id": ada.user_id})
    assert foreign.what == "PERMISSION_DENIED ACTION_MISSING"
    bound = server.agent_token(ada, server.agent(ada).agent_id)
    assert bound.refused("AgentService/ListTransferOffers").what == (
        "PERMISSION_DENIED USER_TOKEN_REQUIRED"
    )


def test_the_log_says_who_offered_what_to_whom_and_how_it_ended(server: Server) -> None:
    giver, heir, other = server.user(), server.user(), server.user()
    agent = server.agent(giver)

    def concerned(*offers: int, users: tuple[Person, ...]) -> set[str]:
        found = {f"AGENT {agent.agent_id}"} | {f"TRANSFER_OFFER {number}" for number in offers}
        return found | {f"USER {user.user_id}" for user in users}

    first = offer(giver, agent, other).offer.offer_id
    assert newest_change(server) == (
        "TRANSFER_OFFERED",
        concerned(first, users=(giver, other)),
    )
    second = offer(giver, agent, heir).offer.offer_id
    assert newest_change(server) == (
        "TRANSFER_OFFERED",
        concerned(first, second, users=(giver, other, heir)),
    )
    heir.call("AgentService/DeclineTransfer", offer_id=second)
    assert newest_change(server) == (
        "TRANSFER_DECLINED",
        concerned(second, users=(giver, heir)),
    )
    third = offer(giver, agent, heir).offer.offer_id
    accept(heir, third)
    kind, subjects = newest_change(server)
    assert kind == "AGENT_TRANSFERRED"
    assert subjects >= concerned(third, users=(giver, heir))


@pytest.mark.parametrize("who", ["giver", "receiver"])
def test_a_deactivation_and_a_deletion_list_the_offers_that_they_ended(
    server: Server, who: str
) -> None:
    giver, heir = server.user(), server.user()
    agent = server.agent(giver)
    ended = offer(giver, agent, heir).offer.offer_id
    _deactivate(server, giver if who == "giver" else heir)
    kind, subjects = newest_change(server)
    assert kind == "USER_DEACTIVATED"
    both = {f"USER {giver.user_id}", f"USER {heir.user_id}"}
    assert {f"TRANSFER_OFFER {ended}", f"AGENT {agent.agent_id}", *both} <= subjects


def test_the_deletion_of_an_agent_and_a_transfer_at_once_list_the_offer_that_they_ended(
    server: Server,
) -> None:
    for ending in (_deleted, _to_somebody):
        giver, heir = server.user(), server.user()
        agent = server.agent(giver)
        ended = offer(giver, agent, heir).offer.offer_id
        ending(server, giver, heir, agent)
        _kind, subjects = newest_change(server)
        assert {f"TRANSFER_OFFER {ended}", f"USER {heir.user_id}"} <= subjects


def test_an_offer_that_was_asked_for_under_a_request_id_is_made_once(server: Server) -> None:
    giver, heir = server.user(), server.user()
    agent = server.agent(giver)
    request_id = "0b0b7a2c-5f3e-4a4e-9d53-6a3f0e0c9f11"
    first = offer(giver, agent, heir, request_id=request_id)
    heir.call("AgentService/DeclineTransfer", offer_id=first.offer.offer_id)
    # The reply of then; the offer is over all the same.
    assert offer(giver, agent, heir, request_id=request_id).offer == first.offer
    assert listed(heir) == []
