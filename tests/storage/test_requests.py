from dataclasses import replace

from accredit_storage.records import Request
from accredit_storage.requests import RequestKey
from accredit_storage.store import Store
from tests.storage.making import EARLIER, LATER, NOW, all_at_once, draft

KEY = RequestKey(caller="user:1", method="CreateAgent", request_id="a-request-id")


def test_the_first_claims_and_the_next_are_told_what_it_led_to(store: Store) -> None:
    with store.write() as tx:
        assert tx.requests.claim(KEY, b"digest", NOW) is None
        revision = tx.record(draft())
        tx.requests.finish(KEY, {"agent_id": 1}, revision)
    with store.write() as tx:
        expected = Request(body_digest=b"digest", result={"agent_id": 1}, revision=1, finished=True)
        assert tx.requests.claim(KEY, b"another", LATER) == expected


def test_a_request_id_belongs_to_its_caller_and_method(store: Store) -> None:
    with store.write() as tx:
        assert tx.requests.claim(KEY, b"", NOW) is None
        assert tx.requests.claim(replace(KEY, caller="user:2"), b"", NOW) is None
        assert tx.requests.claim(replace(KEY, method="DeleteAgent"), b"", NOW) is None
        assert tx.requests.claim(replace(KEY, request_id=KEY.request_id.upper()), b"", NOW) is None
        assert tx.requests.claim(KEY, b"", NOW) is not None


def test_a_claim_that_was_rolled_back_never_was(store: Store) -> None:
    try:
        with store.write() as tx:
            tx.requests.claim(KEY, b"first", NOW)
            raise KeyError
    except KeyError:
        pass
    with store.write() as tx:
        assert tx.requests.claim(KEY, b"second", NOW) is None


def test_a_claim_that_led_to_nothing_says_so(store: Store) -> None:
    with store.write() as tx:
        tx.requests.claim(KEY, b"digest", NOW)
    with store.write() as tx:
        expected = Request(body_digest=b"digest", result={}, revision=0, finished=False)
        assert tx.requests.claim(KEY, b"digest", NOW) == expected


def test_a_claim_that_led_to_nothing_can_be_given_up(store: Store) -> None:
    with store.write() as tx:
        tx.requests.claim(KEY, b"first", NOW)
        tx.requests.claim(replace(KEY, caller="user:2"), b"first", NOW)
    with store.write() as tx:
        assert not tx.requests.release(replace(KEY, method="DeleteAgent"))
        assert tx.requests.release(KEY)
        assert not tx.requests.release(KEY)
    with store.write() as tx:
        assert tx.requests.claim(KEY, b"second", NOW) is None
        assert tx.requests.claim(replace(KEY, caller="user:2"), b"second", NOW) is not None


def test_a_finished_request_is_not_given_up(store: Store) -> None:
    with store.write() as tx:
        tx.requests.claim(KEY, b"digest", NOW)
        tx.requests.finish(KEY, {}, tx.record(draft()))
    with store.write() as tx:
        assert not tx.requests.release(KEY)
        expected = Request(body_digest=b"digest", result={}, revision=1, finished=True)
        assert tx.requests.claim(KEY, b"digest", NOW) == expected


def test_racing_claims_have_one_effect_and_one_answer(store: Store) -> None:
    def call(number: int) -> tuple[bool, int]:
        with store.write() as tx:
            earlier = tx.requests.claim(KEY, b"digest", NOW)
            if earlier is not None:
                return False, earlier.result["from"]
            revision = tx.record(draft())
            tx.requests.finish(KEY, {"from": number}, revision)
            return True, number

    outcomes = all_at_once(8, call)
    (winner,) = [number for was_first, number in outcomes if was_first]
    assert {number for _, number in outcomes} == {winner}
    with store.read() as tx:
        assert tx.head().revision == 1


def test_a_rival_that_fails_hands_the_claim_on(store: Store) -> None:
    def call(number: int) -> bool:
        try:
            with store.write() as tx:
                is_first = tx.requests.claim(KEY, b"digest", NOW) is None
                if is_first and number % 2:
                    raise KeyError
                return is_first
        except KeyError:
            return False

    assert all_at_once(8, call).count(True) == 1


def test_sweeping_forgets_the_old(store: Store) -> None:
    with store.write() as tx:
        for number, at in enumerate((EARLIER, NOW, LATER)):
            tx.requests.claim(
                RequestKey(caller="user:1", method="CreateAgent", request_id=str(number)), b"", at
            )
        assert tx.requests.sweep(NOW) == 1
        assert (
            tx.requests.claim(
                RequestKey(caller="user:1", method="CreateAgent", request_id="0"), b"", NOW
            )
            is None
        )
        assert (
            tx.requests.claim(
                RequestKey(caller="user:1", method="CreateAgent", request_id="1"), b"", NOW
            )
            is not None
        )


def test_the_longest_ids_are_kept(store: Store) -> None:
    key = RequestKey(caller="\U0001f916" * 200, method="é" * 400, request_id="x" * 800)
    with store.write() as tx:
        assert tx.requests.claim(key, b"", NOW) is None
        assert tx.requests.claim(key, b"", NOW) is not None
