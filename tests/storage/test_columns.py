"""What goes into a column comes out of it, on every engine, whatever it is."""

import json
import struct
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from accredit_storage.canonical import canonical_json
from accredit_storage.records import (
    Actor,
    AgentUpdate,
    Ceiling,
    Role,
    Subject,
    SubjectKind,
)
from accredit_storage.store import Store
from tests.storage.making import NOW, agent, draft, token, user

# One store for all the examples of a test: they do not get into each other's way.
many = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

any_text = st.text(st.characters(exclude_categories=["Cs"]))
kept_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    # Larger ones are neither in a config nor in the log: a double does not tell them apart.
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2**53) + 1, 2**53 - 1)
    | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
    max_leaves=10,
)
json_objects = st.dictionaries(any_text, json_values)
moments = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC) | st.integers(-720, 720).map(lambda m: timezone(timedelta(minutes=m))),
)


@many
@given(config=json_objects)
def test_configs(store: Store, config: dict[str, object]) -> None:
    with store.write() as tx:
        owner = tx.users.find_by_login("ada") or user(tx)
        made = tx.agents.find_by_slug("scribe") or agent(tx, owner)
        tx.agents.update(made.agent_id, AgentUpdate(config=config), at=NOW)
        found = tx.agents.find(made.agent_id)
    assert found is not None
    assert found.config == config
    assert canonical_json(found.config) == canonical_json(config)


@many
@given(name=kept_text, at=moments)
def test_texts_and_times(store: Store, name: str, at: datetime) -> None:
    with store.write() as tx:
        owner = tx.users.find_by_login("ada") or user(tx)
        made = tx.agents.find_by_slug("scribe") or agent(tx, owner)
        tx.agents.update(made.agent_id, AgentUpdate(agent_name=name), at=at)
        found = tx.agents.find(made.agent_id)
    assert found is not None
    assert (found.agent_name, found.updated_at) == (name, at)
    assert found.updated_at.tzinfo is UTC


@many
@given(
    before=st.none() | json_objects,
    after=st.none() | json_objects,
    actor=st.builds(
        Actor,
        user_id=st.none() | st.integers(1, 2**63 - 1),
        agent_id=st.none() | st.integers(1, 2**63 - 1),
        token_id=st.none() | kept_text,
    ),
    request_id=kept_text,
    subjects=st.lists(
        st.builds(Subject, kind=st.sampled_from(SubjectKind), subject_id=kept_text), max_size=5
    ),
    at=moments,
)
def test_changes_verify_whatever_is_in_them(store: Store, **fields: object) -> None:
    subjects = fields.pop("subjects")
    with store.write() as tx:
        revision = tx.record(draft(*subjects, **fields))  # type: ignore[arg-type,misc]
    with store.read() as tx:
        anchor = None if revision == 1 else tx.changes.verify(limit=revision - 1).reached
        found = tx.changes.verify(anchor=anchor)
    assert (found.first_broken, found.checked) == (None, 1)


@many
@given(
    role=st.sampled_from(Role),
    capabilities=st.lists(any_text, max_size=5).map(tuple),
)
def test_ceilings(store: Store, role: Role, capabilities: tuple[str, ...]) -> None:
    ceiling = Ceiling(max_role=role, capabilities=capabilities)
    with store.write() as tx:
        owner = tx.users.find_by_login("ada") or user(tx)
        token_id = f"t{len(tx.tokens.minted_by(owner.user_id))}"
        token(tx, token_id, owner, owner, ceiling=ceiling)
        found = tx.tokens.find(token_id)
    assert found is not None
    assert found.ceiling == ceiling


@pytest.mark.parametrize(
    ("stored", "capabilities"),
    [
        pytest.param({"capabilities": ["chat"]}, ("chat",), id="no role"),
        pytest.param({"capabilities": [], "max_role": None}, (), id="none"),
        pytest.param({"capabilities": [], "max_role": ""}, (), id="an empty one"),
        pytest.param({}, (), id="nothing at all"),
    ],
)
def test_a_ceiling_without_a_role_is_one_of_viewer(
    store: Store, stored: dict[str, object], capabilities: tuple[str, ...]
) -> None:
    with store.write() as tx:
        owner = user(tx)
        token(tx, "t", owner, owner, ceiling=Ceiling(max_role=Role.ADMIN, capabilities=()))
        written = text("UPDATE tokens SET ceiling = :ceiling WHERE token_id = 't'")
        tx._connection.execute(written, {"ceiling": canonical_json(stored)})
        found = tx.tokens.find("t")
    assert found is not None
    assert found.ceiling == Ceiling(max_role=Role.VIEWER, capabilities=capabilities)


def test_equal_values_have_one_text() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'
    assert canonical_json({"a": "é", "b": [1.0, 2.5, None]}) == canonical_json(
        json.loads('{ "b": [1, 2.5e0, null], "a": "\\u00e9" }')
    )


# Of the examples in RFC 8785, appendix B.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize("bits", NUMBERS)
def test_numbers_are_written_as_the_standard_has_them(bits: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(number) == NUMBERS[bits]


def test_texts_and_keys_are_written_as_the_standard_has_them() -> None:
    text = '\u20ac$\u000f\nA\'B"\\"/\x7f\u2028\U0001f600'
    written = '"\u20ac$\\u000f\\nA\'B\\"\\\\\\"/\x7f\u2028\U0001f600"'
    assert canonical_json(text) == written
    # By UTF-16: the emoji before U+FB33, though its code point is larger.
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "ö"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys)))) == [
        "\r", "1", "\x80", "ö", "\u20ac", "\U0001f600", "\ufb33",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}])
def test_half_a_surrogate_pair_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1: 2}, {"a": b"b"}, {1, 2}])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="JSON"):
        canonical_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_json_has_no_word_for_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": value})
