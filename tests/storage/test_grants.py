from datetime import timedelta

import pytest

from accredit_storage.errors import Conflict
from accredit_storage.records import AgentId, Grant, Role, UserId
from accredit_storage.store import Store
from tests.storage.making import EARLIER, LATER, NOW, agent, all_at_once, user


def test_a_grant_comes_back_as_it_was_stored(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        made = agent(tx, ada)
        before, after = tx.grants.put(
            made.agent_id, bob.user_id, Role.OPERATOR, ada.user_id, NOW, LATER
        )
    with store.read() as tx:
        assert tx.grants.find(made.agent_id, bob.user_id) == after
        assert tx.grants.find(made.agent_id, ada.user_id) is None
    assert before is None
    assert (after.role, after.granted_by, after.granted_at) == (Role.OPERATOR, ada.user_id, NOW)
    assert (after.expire_at, after.version, after.updated_at) == (LATER, 1, NOW)


def test_granting_again_replaces_the_role_and_keeps_when_it_was_granted(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        key = (agent(tx, ada).agent_id, bob.user_id)
        _, first = tx.grants.put(*key, Role.OPERATOR, ada.user_id, NOW, LATER)
        before, after = tx.grants.put(*key, Role.VIEWER, bob.user_id, LATER, None)
        assert before == first
        assert (after.role, after.granted_by, after.expire_at) == (Role.VIEWER, bob.user_id, None)
        assert (after.granted_at, after.updated_at, after.version) == (NOW, LATER, 2)
        assert tx.grants.all_for_agent(key[0]) == [after]


def test_removing_a_grant_answers_what_it_was_and_then_nothing(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        key = (agent(tx, ada).agent_id, ada.user_id)
        _, granted = tx.grants.put(*key, Role.VIEWER, None, NOW, None)
        assert tx.grants.remove(*key) == granted
        assert tx.grants.remove(*key) is None
        assert tx.grants.find(*key) is None


@pytest.mark.parametrize("missing", ["agent", "user", "granter"])
def test_a_grant_refers_to_what_exists(store: Store, missing: str) -> None:
    with store.write() as tx:
        ada = user(tx).user_id
        agent_id = agent(tx, tx.users.find(ada)).agent_id  # type: ignore[arg-type]
    with pytest.raises(Conflict), store.write() as tx:
        tx.grants.put(
            AgentId(99) if missing == "agent" else agent_id,
            UserId(99) if missing == "user" else ada,
            Role.VIEWER,
            UserId(99) if missing == "granter" else ada,
            NOW,
            None,
        )


def test_a_grant_outlives_its_granter_but_not_its_user(store: Store) -> None:
    with store.write() as tx:
        ada, bob, cyd = user(tx, "ada"), user(tx, "bob"), user(tx, "cyd")
        agent_id = agent(tx, ada).agent_id
        tx.grants.put(agent_id, bob.user_id, Role.VIEWER, cyd.user_id, NOW, None)
        tx.grants.put(agent_id, cyd.user_id, Role.VIEWER, ada.user_id, NOW, None)
        tx.users.delete(cyd.user_id)
        (left,) = tx.grants.all_for_agent(agent_id)
        assert (left.user_id, left.granted_by) == (bob.user_id, None)


def test_the_grants_on_an_agent_are_paged_oldest_first_with_their_users(store: Store) -> None:
    with store.write() as tx:
        users = [user(tx, login) for login in ("ada", "bob", "cyd", "dan", "eve")]
        agent_id = agent(tx, users[0]).agent_id
        other = agent(tx, users[0], "other").agent_id
        tx.grants.put(other, users[0].user_id, Role.VIEWER, None, EARLIER, None)
        when = [LATER, NOW, EARLIER, NOW, LATER + timedelta(microseconds=1)]
        for holder, at in zip(users, when, strict=True):
            expire_at = EARLIER if holder.login == "cyd" else None
            tx.grants.put(agent_id, holder.user_id, Role.OPERATOR, None, at, expire_at)
        for limit in (1, 2, 5, 9):
            after, logins = None, []
            while page := tx.grants.page_for_agent(agent_id, after=after, limit=limit):
                assert len(page) <= limit
                assert all(grant.user_id == holder.user_id for grant, holder in page)
                logins += [holder.login for _, holder in page]
                after = (page[-1][0].granted_at, page[-1][0].user_id)
            assert logins == ["cyd", "bob", "dan", "ada", "eve"]


def test_the_grants_of_a_user_are_paged_by_agent_without_the_expired(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        ids = [agent(tx, ada, f"agent-{number}").agent_id for number in range(6)]
        roles = [Role.VIEWER, Role.OPERATOR, Role.ADMIN] * 2
        ends = [None, LATER, NOW, None, EARLIER, LATER]
        for agent_id, role, end in zip(ids, roles, ends, strict=True):
            tx.grants.put(agent_id, bob.user_id, role, None, EARLIER, end)
        tx.grants.put(ids[0], ada.user_id, Role.ADMIN, None, EARLIER, None)

        def pages(min_role: Role | None, limit: int) -> list[AgentId]:
            after, found = None, []
            while page := tx.grants.page_for_user(
                bob.user_id, at=NOW, min_role=min_role, after=after, limit=limit
            ):
                found += [grant.agent_id for grant in page]
                after = found[-1]
            return found

        for limit in (1, 2, 9):
            assert pages(None, limit) == [ids[0], ids[1], ids[3], ids[5]]
            assert pages(Role.VIEWER, limit) == [ids[0], ids[1], ids[3], ids[5]]
            assert pages(Role.OPERATOR, limit) == [ids[1], ids[5]]
            assert pages(Role.ADMIN, limit) == [ids[5]]


def test_all_grants_of_a_user_are_those_of_every_agent_and_end(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        granted: list[Grant | None] = []
        for slug, expire_at in (("b", None), ("a", EARLIER)):
            made = agent(tx, ada, slug)
            granted += tx.grants.put(made.agent_id, bob.user_id, Role.VIEWER, None, NOW, expire_at)
            tx.grants.put(made.agent_id, ada.user_id, Role.VIEWER, None, NOW, None)
        assert tx.grants.all_for_user(bob.user_id) == [granted[1], granted[3]]
        assert tx.grants.all_for_user(UserId(99)) == []


def test_many_are_found_at_once(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        first, second = agent(tx, ada, "a").agent_id, agent(tx, ada, "b").agent_id
        granted = [
            tx.grants.put(agent_id, holder.user_id, Role.VIEWER, None, NOW, None)[1]
            for agent_id, holder in ((first, ada), (second, bob))
        ]
        pairs = [(first, ada.user_id), (first, bob.user_id), (second, bob.user_id), (99, 99)]
        assert tx.grants.find_many(pairs) == {pairs[0]: granted[0], pairs[2]: granted[1]}
        assert tx.grants.find_many([]) == {}
        assert tx.grants.find_many([(1, number) for number in range(5_000)])


def test_racing_grants_leave_one_row_and_each_sees_the_one_before(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        key = (agent(tx, ada).agent_id, ada.user_id)

    def grant(number: int) -> tuple[int, int]:
        role = list(Role)[number % 3]
        with store.write() as tx:
            before, after = tx.grants.put(*key, role, None, NOW + timedelta(hours=number), None)
        return (0 if before is None else before.version), after.version

    outcomes = all_at_once(8, grant)
    assert sorted(outcomes) == [(version, version + 1) for version in range(8)]
