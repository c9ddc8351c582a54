"""What is remembered of dead tokens, and of the keys that tokens are minted under."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from accredit_service.abilities.credentials import bearer
from accredit_service.abilities.credentials.dead_tokens import MISSING_FOR, DeadTokens
from accredit_service.abilities.credentials.keyring import Keyring
from accredit_service.abilities.tokens.keys import MINTS_AFTER, minting_key
from accredit_storage.records import Credential, Token, TokenKey, User, UserId, UserKind, UserRole
from tests.minting import FOREIGN_KEY, foreign, key_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PATIENCE = 20

USER = User(
    user_id=UserId(1),
    login="somebody",
    kind=UserKind.HUMAN,
    role=UserRole.MEMBER,
    display_name="",
    email="",
    active=True,
    default_agent_id=None,
    created_at=NOW,
    updated_at=NOW,
    directory_key="",
    files_made=False,
    version=1,
)
LIVE = Credential(
    token=Token(
        token_id="0" * 16,
        agent_id=None,
        user_id=UserId(1),
        label="",
        ceiling=None,
        act_as_owner=False,
        created_by=UserId(1),
        created_at=NOW,
        expire_at=None,
        revoked_at=None,
        rotated_from=None,
        replaced_by=None,
        last_used_at=None,
        version=1,
    ),
    user=USER,
    agent=None,
    minter=USER,
    minter_grant=None,
)
REVOKED = replace(LIVE, token=replace(LIVE.token, revoked_at=NOW))
EXPIRED = replace(LIVE, token=replace(LIVE.token, expire_at=NOW))


class Rows:
    """What look-ups find, and how many there were."""

    def __init__(self, credential: Credential | None) -> None:
        self.credential = credential
        self.asked = 0

    def __call__(self, digest: bytes) -> Credential | None:
        self.asked += 1
        return self.credential


class Ticks:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_live_token_is_looked_up_each_time() -> None:
    dead, rows = DeadTokens(), Rows(LIVE)
    assert [dead.find(b"one", rows, NOW) for _ in range(3)] == [LIVE] * 3
    rows.credential = REVOKED
    assert dead.find(b"one", rows, NOW) is None
    assert rows.asked == 4


@pytest.mark.parametrize("credential", [REVOKED, EXPIRED], ids=["revoked", "expired"])
def test_a_dead_one_is_looked_up_once_and_never_comes_back(credential: Credential) -> None:
    clock = Ticks()
    dead, rows = DeadTokens(clock=clock), Rows(credential)
    assert dead.find(b"one", rows, NOW) is None
    clock.now += 1e9
    rows.credential = LIVE
    assert dead.find(b"one", rows, NOW) is None
    assert rows.asked == 1
    assert dead.find(b"another", rows, NOW) is LIVE


def test_a_clock_that_is_set_back_gives_an_expired_token_its_time_back() -> None:
    dead, rows = DeadTokens(), Rows(EXPIRED)
    assert dead.find(b"one", rows, NOW) is None
    assert dead.find(b"one", rows, NOW - timedelta(seconds=1)) is EXPIRED
    assert dead.find(b"one", rows, NOW) is None


def test_one_that_is_in_no_row_may_be_about_to_be() -> None:
    clock = Ticks()
    dead, rows = DeadTokens(clock=clock), Rows(None)
    assert dead.find(b"one", rows, NOW) is None
    rows.credential = LIVE
    assert dead.find(b"one", rows, NOW) is None
    clock.now += MISSING_FOR
    assert dead.find(b"one", rows, NOW) is LIVE
    assert rows.asked == 2


def test_only_so_many_are_remembered_and_those_that_are_used_stay() -> None:
    dead, rows = DeadTokens(size=2), Rows(REVOKED)
    for digest in (b"one", b"two", b"one", b"three"):
        dead.find(digest, rows, NOW)
    assert [dead.holds(one, NOW) for one in (b"one", b"two", b"three")] == [True, False, True]
    assert len(dead) == 2


def test_another_history_of_the_store_begins_anew() -> None:
    dead, rows = DeadTokens(), Rows(REVOKED)
    assert not dead.belong_to("before")
    dead.find(b"one", rows, NOW)
    assert not dead.belong_to("before")
    assert dead.holds(b"one", NOW)
    assert dead.belong_to("restored")
    assert not dead.holds(b"one", NOW)


def test_what_was_found_in_the_history_before_is_not_kept_in_the_next() -> None:
    dead = DeadTokens()
    dead.belong_to("before")

    def restored_meanwhile(digest: bytes) -> Credential:
        dead.belong_to("restored")
        return REVOKED

    assert dead.find(b"one", restored_meanwhile, NOW) is None
    assert not dead.holds(b"one", NOW)


@pytest.mark.parametrize(("credential", "asked"), [(REVOKED, 1), (LIVE, 8)])
def test_those_who_ask_at_once_take_the_words_of_the_first_only_if_it_is_dead(
    credential: Credential, asked: int
) -> None:
    dead, rows = DeadTokens(), Rows(credential)
    inside, go_on = threading.Event(), threading.Event()

    def slow(digest: bytes) -> Credential | None:
        inside.set()
        assert go_on.wait(PATIENCE)
        return rows(digest)

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(dead.find, b"one", slow, NOW)
        assert inside.wait(PATIENCE)
        others = [pool.submit(dead.find, b"one", slow, NOW) for _ in range(7)]
        go_on.set()
        found = [one.result(PATIENCE) for one in (first, *others)]
    assert found == [None if asked == 1 else LIVE] * 8
    assert rows.asked == asked


def test_a_look_up_that_fails_leaves_nobody_waiting() -> None:
    dead, rows = DeadTokens(), Rows(LIVE)

    def failing(digest: bytes) -> Credential | None:
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        dead.find(b"one", failing, NOW)
    assert dead.find(b"one", rows, NOW) is LIVE


class Keys:
    """The keys in the store, and how often they were read."""

    def __init__(self, *keys: TokenKey) -> None:
        self.keys = list(keys)
        self.read = 0

    def __call__(self) -> list[TokenKey]:
        self.read += 1
        return self.keys


def _key(age: timedelta, taken: str = "") -> TokenKey:
    return bearer.new_key({taken}, NOW - age)


def test_the_keys_are_read_at_first_and_then_told_by_whoever_looks_at_the_database() -> None:
    old = _key(timedelta(days=1))
    keyring, keys = Keyring(), Keys(old)
    minted = bearer.mint(old)
    assert not keyring.decides(minted.secret)
    for _ in range(3):
        assert keyring.digest(minted.secret, keys) == minted.digest
    new = _key(timedelta(minutes=1), taken=old.key_id)
    from_another_server = bearer.mint(new)
    assert keyring.digest(from_another_server.secret, keys) is None
    keyring.hold([old, new])
    assert keyring.digest(from_another_server.secret, keys) == from_another_server.digest
    keyring.hold([new])
    assert keyring.digest(minted.secret, keys) is None
    assert keys.read == 1


def test_whoever_makes_ids_up_has_nothing_read_and_is_refused_without_a_thread() -> None:
    old = _key(timedelta(days=1), taken=FOREIGN_KEY.key_id)
    keyring, keys = Keyring(), Keys(old)
    keyring.hold([old])
    assert keyring.decides(foreign())
    assert keyring.digest(foreign(), keys) is None
    assert keys.read == 0


def test_a_text_under_a_known_id_is_judged_by_its_tag_alone() -> None:
    old = _key(timedelta(days=1))
    keyring, keys = Keyring(), Keys(old)
    made_up = foreign(old.key_id)
    assert key_of(made_up) == old.key_id
    assert [keyring.digest(made_up, keys) for _ in range(5)] == [None] * 5
    assert keys.read == 1


def test_what_has_not_the_form_of_a_token_does_not_even_read_the_keys() -> None:
    keys = Keys()
    assert Keyring().digest("acr_" + "0" * 16 + "_" + "0" * 49, keys) is None
    assert keys.read == 0


def test_a_key_mints_only_when_every_server_must_have_read_it() -> None:
    old, new = _key(timedelta(days=1)), _key(timedelta(0))
    assert minting_key([new, old], NOW) == old
    assert minting_key([new, old], NOW + MINTS_AFTER) == new
    assert minting_key([new], NOW) == new, "a store that was made just now has no other"
