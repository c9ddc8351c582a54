import pytest

from accredit_storage.errors import Conflict, LoginTaken
from accredit_storage.records import (
    NewUser,
    Role,
    UserId,
    UserKind,
    UserRole,
    UserUpdate,
)
from accredit_storage.store import Store
from tests.storage.making import LATER, NOW, agent, all_at_once, token, user


def test_a_user_comes_back_as_they_were_stored(store: Store) -> None:
    with store.write() as tx:
        added = tx.users.add(
            NewUser(
                login="ada",
                kind=UserKind.SERVICE,
                role=UserRole.SERVICE,
                display_name="Ada \U0001f916",
                email="ada@example.org",
                active=False,
            ),
            at=NOW,
        )
    assert added is not None
    with store.read() as tx:
        assert tx.users.find(added.user_id) == added == tx.users.find_by_login("ada")
        assert tx.users.find(UserId(99)) is None
        assert tx.users.find_by_login("aDa") == added
    assert (added.kind, added.role, added.active) == (UserKind.SERVICE, UserRole.SERVICE, False)
    assert (added.version, added.created_at, added.updated_at) == (1, NOW, NOW)


def test_racing_to_a_login_makes_one_user(store: Store) -> None:
    def add(_: int) -> bool:
        with store.write() as tx:
            added = tx.users.add(
                NewUser(
                    login="ada",
                    kind=UserKind.HUMAN,
                    role=UserRole.MEMBER,
                    display_name="",
                    email="",
                ),
                at=NOW,
            )
        return added is not None

    assert all_at_once(8, add).count(True) == 1


def test_an_update_changes_what_is_given_and_raises_the_version(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx, "ada", email="a@example.org")
        updated = tx.users.update(
            ada.user_id, UserUpdate(active=False, role=UserRole.GUEST), at=LATER
        )
        assert updated is not None
        assert (updated.active, updated.role, updated.email) == (
            False,
            UserRole.GUEST,
            "a@example.org",
        )
        assert (updated.version, updated.updated_at, updated.created_at) == (2, LATER, NOW)
        renamed = tx.users.update(
            ada.user_id,
            UserUpdate(login="Ada", display_name="", email="", kind=UserKind.SERVICE),
            at=LATER,
        )
        assert renamed == tx.users.find_by_login("Ada") == tx.users.find_by_login("ada")
        assert renamed is not None
        assert renamed.login == "Ada"
        assert tx.users.update(UserId(99), UserUpdate(active=False), at=LATER) is None


def test_a_taken_login_is_refused_and_the_transaction_goes_on(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        with pytest.raises(LoginTaken, match="ADA"):
            tx.users.update(bob.user_id, UserUpdate(login="ADA"), at=LATER)
        tx.users.update(bob.user_id, UserUpdate(login="BOB"), at=LATER)
    with store.read() as tx:
        assert tx.users.find_by_login("ada") == ada
        assert tx.users.find_by_login("BOB") is not None


def test_users_are_paged_by_id_under_every_filter(store: Store) -> None:
    with store.write() as tx:
        user(tx, "ada", role=UserRole.ADMINISTRATOR, email="x@example.org")
        user(tx, "bob", active=False)
        user(tx, "ADAM", email="x@example.org")
        user(tx, "cyd_%", email="X@example.org")
    cases = [
        ({}, ["ada", "bob", "ADAM", "cyd_%"]),
        ({"text": "ada"}, ["ada", "ADAM"]),
        ({"text": "CYD"}, ["cyd_%"]),
        ({"text": "_%"}, ["cyd_%"]),
        ({"email": "x@example.org"}, ["ada", "ADAM"]),
        ({"role": UserRole.ADMINISTRATOR}, ["ada"]),
        ({"active": False}, ["bob"]),
        ({"active": True, "text": "a", "email": "x@example.org"}, ["ada", "ADAM"]),
        ({"role": UserRole.SERVICE}, []),
    ]
    with store.read() as tx:
        for filters, expected in cases:
            for limit in (1, 3, 10):
                after, logins = None, []
                while page := tx.users.page(after=after, limit=limit, **filters):  # type: ignore[arg-type]
                    logins += [one.login for one in page]
                    after = page[-1].user_id
                assert logins == expected


def test_many_are_found_at_once_in_the_order_of_their_ids(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        found = tx.users.find_many([bob.user_id, UserId(99), ada.user_id, bob.user_id])
        assert found == [ada, bob]
        assert tx.users.find_many([]) == []


def test_administrators_are_counted_while_they_are_active(store: Store) -> None:
    with store.write() as tx:
        assert tx.users.count() == 0
        assert tx.users.first_administrator() is None
        user(tx, "sleeping", role=UserRole.ADMINISTRATOR, active=False)
        first = user(tx, "first", role=UserRole.ADMINISTRATOR)
        user(tx, "second", role=UserRole.ADMINISTRATOR)
        user(tx, "member")
        assert tx.users.count() == 4
        assert tx.users.count_active_administrators() == 2
        assert tx.users.first_administrator() == first


def test_a_user_who_owns_agents_cannot_be_deleted(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        made = [agent(tx, ada, slug).agent_id for slug in ("b", "a")]
        assert tx.users.owned_agents(ada.user_id) == made
        assert tx.users.owned_agents(UserId(99)) == []
    with pytest.raises(Conflict), store.write() as tx:
        tx.users.delete(ada.user_id)
    with store.read() as tx:
        assert tx.users.find(ada.user_id) == ada


def test_deleting_a_user_takes_their_grants_and_tokens_and_no_id_returns(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        scribe = agent(tx, ada)
        tx.grants.put(scribe.agent_id, bob.user_id, Role.VIEWER, ada.user_id, NOW, None)
        token(tx, "t1", bob, bob)
        assert tx.users.delete(bob.user_id)
        assert not tx.users.delete(bob.user_id)
        assert tx.grants.all_for_agent(scribe.agent_id) == []
        assert tx.tokens.find("t1") is None
    with store.write() as tx:
        assert user(tx, "bob").user_id > bob.user_id


def test_several_users_are_found_by_login_whatever_its_case(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "Bob")
        again = tx.users.add(
            NewUser(
                login="ADA", kind=UserKind.HUMAN, role=UserRole.MEMBER, display_name="", email=""
            ),
            at=NOW,
        )
        assert again is None
    with store.read() as tx:
        assert tx.users.find_many_by_login({"bob", "ada", "ADA", "nobody"}) == [ada, bob]
        assert tx.users.find_many_by_login(set()) == []
