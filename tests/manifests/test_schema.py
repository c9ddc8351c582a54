import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accredit.manifests import read_text
from accredit.manifests.definitions import Definition
from tests.manifests.json_schema import REMARKS, WORDS, accepts, words

SCHEMA: Mapping[str, Any] = json.loads(
    resources.files("accredit.manifests").joinpath("schema.json").read_text(encoding="utf-8")
)
RULES: Mapping[str, Mapping[str, Any]] = SCHEMA["$defs"]["definition"]["properties"]

BOUNDS = sorted(
    {
        value
        for rule in RULES.values()
        for word, value in rule.items()
        if word in ("minimum", "maximum")
    }
)

texts = st.text(st.sampled_from("ab-é.0 "), max_size=8)
lengths = st.sampled_from([200, 1000, 16384]).flatmap(
    lambda bound: st.sampled_from(["x" * (bound - 1), "x" * bound, "x" * (bound + 1)])
)
numbers = st.one_of(
    st.sampled_from(BOUNDS).flatmap(lambda bound: st.sampled_from([bound - 1, bound, bound + 1])),
    st.sampled_from([0, 1, 1.0, 1.5, True, False]),
).filter(lambda number: abs(number) < 2**53)
scalars = st.one_of(st.none(), texts, lengths, numbers)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
seeds = st.dictionaries(texts, st.one_of(values, st.fixed_dictionaries({"text": values})))
definitions = st.one_of(
    values,
    st.fixed_dictionaries(
        {"slug": texts | values},
        optional={
            "other": values,
            "memory_seeds": seeds | values,
            **{key: values for key in RULES if key not in ("slug", "memory_seeds")},
        },
    ),
)
documents = definitions | st.fixed_dictionaries({"agents": values | st.lists(definitions)})


def _accepted(document: Any) -> bool:
    text = json.dumps(document, ensure_ascii=False)
    return not read_text("agents.yaml", text.encode()).errors


@given(documents)
def test_schema_and_parser_accept_the_same(document: Any) -> None:
    # An empty document declares nothing and breaks no rule; the schema cannot say so.
    if document is not None:
        assert _accepted(document) == accepts(SCHEMA, document, SCHEMA)


@pytest.mark.parametrize("key", RULES)
def test_each_bound_of_the_schema_is_kept_to_the_character(key: str) -> None:
    rule = RULES[key]
    found = []
    if "maxLength" in rule:
        found += [("x" * rule["maxLength"], True), ("x" * (rule["maxLength"] + 1), False)]
    if "minimum" in rule:
        found += [(rule["minimum"], True), (rule["minimum"] - 1, False)]
        found += [(rule["maximum"], True), (rule["maximum"] + 1, False)]
    found += [(True, False), ([], False)]
    for value, right in found:
        assert _accepted({"slug": "a", key: value}) is right
        assert accepts(SCHEMA, {"slug": "a", key: value}, SCHEMA) is right


def test_the_schema_has_no_word_that_is_not_tried_here() -> None:
    assert words(SCHEMA) <= WORDS | REMARKS


def test_a_definition_has_what_the_schema_describes() -> None:
    assert set(Definition.__dataclass_fields__) == {*RULES, "file", "line"}
    assert all(rule["description"] for rule in RULES.values())
