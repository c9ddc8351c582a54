"""The list of agents, held against a model of what it says."""

import itertools
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from accredit_storage.agents import GRANTED, OWNED, AgentQuery, ListedAgent
from accredit_storage.records import Agent, AgentStatus, Grant, Role, SiteId, UserId
from accredit_storage.store import Store, Transaction
from tests.storage.making import EARLIER, LATER, NOW, agent, site, user


def ask(
    user_id: UserId,
    *,
    everyone: bool = False,
    site_id: SiteId | None = None,
    status: AgentStatus | None = None,
    text: str | None = None,
    after: tuple[int, int] | None = None,
    limit: int = 100,
) -> AgentQuery:
    return AgentQuery(
        user_id=user_id,
        everyone=everyone,
        site_id=site_id,
        status=status,
        text=text,
        at=NOW,
        after=after,
        limit=limit,
    )


def slugs(listed: list[ListedAgent]) -> list[str]:
    return [one.agent.agent_slug for one in listed]


def walk(tx: Transaction, user_id: int, limit: int, **filters: object) -> list[ListedAgent]:
    """Every page of a list, one after the other."""
    listed: list[ListedAgent] = []
    after = None
    while page := tx.agents.page(ask(user_id, after=after, limit=limit, **filters)):  # type: ignore[arg-type]
        assert len(page) <= limit
        listed += page
        after = (page[-1].block, page[-1].agent.agent_id)
    return listed


def test_the_owned_come_first_and_then_the_granted(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        granted = agent(tx, bob, "granted")
        agent(tx, bob, "foreign")
        agent(tx, ada, "mine")
        both = agent(tx, ada, "mine-and-granted")
        for one in (granted, both):
            tx.grants.put(one.agent_id, ada.user_id, Role.VIEWER, None, NOW, None)
        listed = tx.agents.page(ask(ada.user_id))
    assert slugs(listed) == ["mine", "mine-and-granted", "granted"]
    assert [(one.block, one.is_owner, one.role) for one in listed] == [
        (OWNED, True, Role.ADMIN),
        (OWNED, True, Role.ADMIN),
        (GRANTED, False, Role.VIEWER),
    ]


def test_everyone_is_every_agent_with_the_role_of_the_user_asked_about(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        granted = agent(tx, bob, "granted")
        agent(tx, bob, "foreign")
        agent(tx, ada, "mine")
        tx.grants.put(granted.agent_id, ada.user_id, Role.OPERATOR, None, NOW, None)
        tx.grants.put(granted.agent_id, bob.user_id, Role.VIEWER, None, NOW, None)
        listed = tx.agents.page(ask(ada.user_id, everyone=True))
    assert [(one.agent.agent_slug, one.block, one.is_owner, one.role) for one in listed] == [
        ("granted", OWNED, False, Role.OPERATOR),
        ("foreign", OWNED, False, None),
        ("mine", OWNED, True, Role.ADMIN),
    ]


@pytest.mark.parametrize(
    ("expire_at", "is_listed"),
    [(None, True), (LATER, True), (NOW + timedelta(microseconds=1), True), (NOW, False)],
)
def test_a_grant_counts_until_the_instant_it_expires(
    store: Store, expire_at: None, is_listed: bool
) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        made = agent(tx, bob)
        tx.grants.put(made.agent_id, ada.user_id, Role.ADMIN, None, EARLIER, expire_at)
        assert bool(tx.agents.page(ask(ada.user_id))) is is_listed
        (listed,) = tx.agents.page(ask(ada.user_id, everyone=True))
        assert listed.role is (Role.ADMIN if is_listed else None)


def test_a_site_shows_its_agents_and_those_of_the_network(store: Store) -> None:
    with store.write() as tx:
        ada, north, south = user(tx), site(tx, "north"), site(tx, "south")
        agent(tx, ada, "in-north", site=north)
        agent(tx, ada, "in-south", site=south)
        agent(tx, ada, "anywhere")
        for everyone in (False, True):
            query = ask(ada.user_id, everyone=everyone, site_id=north.site_id)
            assert slugs(tx.agents.page(query)) == ["in-north", "anywhere"]
            assert len(tx.agents.page(ask(ada.user_id, everyone=everyone))) == 3
            nowhere = ask(ada.user_id, everyone=everyone, site_id=SiteId(99))
            assert slugs(tx.agents.page(nowhere)) == ["anywhere"]


def test_a_list_can_be_cut_to_one_agent(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        mine, foreign = agent(tx, ada, "mine"), agent(tx, bob, "foreign")
        agent(tx, ada, "also-mine")
        for everyone, expected in ((False, []), (True, ["foreign"])):
            for only, found in ((mine, ["mine"]), (foreign, expected)):
                query = replace(ask(ada.user_id, everyone=everyone), only=only.agent_id)
                assert slugs(tx.agents.page(query)) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("crib", ["scribe"]),
        ("CRIB", ["scribe"]),
        ("the writer", ["scribe"]),
        ("", ["scribe", "100%_real", "back\\slash", "écrivain"]),
        ("%", ["100%_real"]),
        ("_", ["100%_real"]),
        ("0%_", ["100%_real"]),
        ("\\", ["back\\slash"]),
        ("/", []),
        ("ÉCRIVAIN", []),
        ("éCRIVAIN", ["écrivain"]),
        ("\u212a", []),  # The Kelvin sign, which str.lower() makes a k.
        ("nobody", []),
    ],
)
def test_text_is_found_in_slug_and_name_as_it_is(
    store: Store, text: str, expected: list[str]
) -> None:
    with store.write() as tx:
        ada = user(tx)
        agent(tx, ada, "scribe", name="The Writer")
        for slug in ("100%_real", "back\\slash", "écrivain"):
            agent(tx, ada, slug, name="K")
        for everyone in (False, True):
            listed = tx.agents.page(ask(ada.user_id, everyone=everyone, text=text))
            assert slugs(listed) == expected


def test_every_page_walk_agrees_with_the_model(store: Store) -> None:
    chance = random.Random(20260301)
    with store.write() as tx:
        users = [user(tx, login) for login in ("ada", "bob", "cyd")]
        sites = [site(tx, slug) for slug in ("north", "south")]
        agents: list[Agent] = []
        grants: dict[tuple[int, int], Grant] = {}
        for number in range(40):
            made = agent(
                tx,
                chance.choice(users),
                f"{chance.choice('aAé')}-{number}",
                site=chance.choice([None, *sites]),
                status=chance.choice(list(AgentStatus)),
            )
            agents.append(made)
            for holder in users:
                if chance.random() < 0.4:
                    expire_at = chance.choice([None, EARLIER, NOW, LATER])
                    key = (made.agent_id, holder.user_id)
                    role = chance.choice(list(Role))
                    grants[key] = tx.grants.put(*key, role, None, NOW, expire_at)[1]

    def expected(
        user_id: int, everyone: bool, site_id: int | None, status: AgentStatus | None, text: str
    ) -> list[tuple[int, int, Role | None]]:
        rows = []
        for one in agents:
            grant = grants.get((one.agent_id, user_id))
            if grant is not None and grant.expire_at is not None and grant.expire_at <= NOW:
                grant = None
            is_owner = one.owner_id == user_id
            if not (everyone or is_owner or grant):
                continue
            if site_id is not None and one.site_scope not in (site_id, None):
                continue
            if status is not None and one.status is not status:
                continue
            if text.lower() not in one.agent_slug.lower():
                continue
            role = Role.ADMIN if is_owner else None if grant is None else grant.role
            block = OWNED if everyone or is_owner else GRANTED
            rows.append((block, one.agent_id, role))
        return sorted(rows, key=lambda row: row[:2])

    with store.read() as reader:
        for user_id, everyone, site_id, status, text in itertools.product(
            [one.user_id for one in users],
            (False, True),
            (None, sites[0].site_id),
            (None, AgentStatus.ACTIVE),
            ("", "a-"),
        ):
            listed = walk(
                reader,
                user_id,
                chance.choice([1, 2, 7, 100]),
                everyone=everyone,
                site_id=site_id,
                status=status,
                text=text or None,
            )
            found = [(one.block, one.agent.agent_id, one.role) for one in listed]
            assert found == expected(user_id, everyone, site_id, status, text)
