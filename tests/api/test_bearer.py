"""What is a token's text and what is not, as far as the keys alone can tell."""

import hmac
import string
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from accredit_service.abilities.credentials import bearer
from accredit_service.abilities.credentials.keyring import Keyring
from accredit_storage.records import TokenKey

KEYS = {
    key_id: TokenKey(key_id=key_id, key=bytes([number] * 32), created_at=datetime.now(UTC))
    for number, key_id in enumerate(("00", "7Q"))
}
BASE62 = string.digits + string.ascii_letters


def known(text: str, *key_ids: str) -> bool:
    """Whether a keyring with these keys takes the text for one that was minted; both by default."""
    keyring = Keyring()
    keyring.hold([KEYS[key_id] for key_id in key_ids or KEYS])
    return keyring.digest(text, list) is not None


minted = st.sampled_from(sorted(KEYS)).map(lambda key_id: bearer.mint(KEYS[key_id]))


@given(one=minted)
def test_what_is_minted_is_known_by_its_key_and_by_no_other(one: bearer.Minted) -> None:
    assert known(one.secret)
    assert bearer.is_token_id(one.token_id)
    (other,) = set(KEYS) - {one.key_id}
    assert not known(one.secret, other)
    stolen_id = TokenKey(key_id=one.key_id, key=KEYS[other].key, created_at=datetime.now(UTC))
    assert not bearer.is_minted_under(stolen_id, one.secret)


@given(one=minted)
def test_the_tag_is_the_first_64_bits_of_an_hmac_over_all_before_it(one: bearer.Minted) -> None:
    body, tag = one.secret[:-11], one.secret[-11:]
    number = 0
    for digit in tag:
        number = number * 62 + sorted(BASE62).index(digit)
    wanted = hmac.digest(KEYS[one.key_id].key, body.encode(), "sha256")[:8]
    assert number.to_bytes(8, "big") == wanted


@given(one=minted, data=st.data())
def test_one_token_has_one_spelling(one: bearer.Minted, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(one.secret) - 1))
    other = data.draw(st.characters().filter(lambda found: found != one.secret[place]))
    changed = one.secret[:place] + other + one.secret[place + 1 :]
    assert not known(changed)
    # Also one more than 64 bits hold, which would be the same number after a wrap.
    assert not known(one.secret[:-11] + "z" * 11)


@given(one=minted, text=st.text(max_size=5))
def test_nothing_stands_around_it(one: bearer.Minted, text: str) -> None:
    for around in (text + one.secret, one.secret + text, one.secret + "\n", "\n" + one.secret):
        assert known(around) == (around == one.secret)


@given(text=st.text() | st.text(BASE62 + "_", min_size=77, max_size=77))
def test_any_other_text_is_none_of_ours(text: str) -> None:
    assert not known(text)
    assert not known(f"acr_{text}"[:77])
