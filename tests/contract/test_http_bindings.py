"""The google.api.http bindings: no path matches two of them, and none is missing."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from tests.contract.descriptors import MESSAGES, METHODS, annotations_pb2

VARIABLE = re.compile(r"\{([a-z_.]+)\}")
#: All that the proof below knows of. A variable takes one segment, and a verb ends the path.
TEMPLATE = re.compile(r"/v1(/([a-z-]+|\{[a-z_.]+\}))+(:[A-Za-z]+)?")
#: A reference by id, and the same by name: the segment before the variable, and its last field.
SIBLINGS = {
    ("agents", "agent_id"): ("agent-slugs", "agent_slug"),
    ("users", "user_id"): ("logins", "login"),
    ("access", "user_id"): ("access-logins", "login"),
    ("sites", "site_id"): ("site-slugs", "site_slug"),
}


@dataclass(frozen=True)
class Binding:
    """One way to make a call over HTTP."""

    rpc: str
    verb: str
    path: str
    body: str

    def __str__(self) -> str:
        return f"{self.rpc}: {self.verb.upper()} {self.path}"

    @property
    def variables(self) -> Sequence[str]:
        return VARIABLE.findall(self.path)


def _bindings() -> Iterator[Binding]:
    for rpc, method in METHODS.items():
        rule = method.options.Extensions[annotations_pb2.http]
        for one in [rule, *rule.additional_bindings]:
            verb = one.WhichOneof("pattern")
            if verb is not None:
                yield Binding(rpc, verb, getattr(one, verb), one.body)


BINDINGS = list(_bindings())


def overlap(one: str, other: str) -> bool:
    """Whether some path matches both templates, where a variable may be any text without '/'."""
    ours, theirs = one.split("/"), other.split("/")
    return len(ours) == len(theirs) and all(map(_segments_overlap, ours, theirs))


def _segments_overlap(one: str, other: str) -> bool:
    """The same of two segments, each a text, or a variable and the text behind it."""
    (variable, behind), (its_variable, its_behind) = _parts(one), _parts(other)
    if variable and its_variable:
        # The rest is up to the variables: "x:a:b" is {one}:b and {other}:a:b.
        return behind.endswith(its_behind) or its_behind.endswith(behind)
    if variable or its_variable:
        text, end = (other, behind) if variable else (one, its_behind)
        return text.endswith(end) and text != end
    return one == other


def _parts(segment: str) -> tuple[str, str]:
    variable, brace, behind = segment.rpartition("}")
    return variable + brace, behind


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("/v1/agents", "/v1/agents", True),
        ("/v1/agents", "/v1/users", False),
        ("/v1/agents/{id}", "/v1/agents", False),
        ("/v1/agents/{id}", "/v1/agents/access", True),
        ("/v1/agents/{id}/access", "/v1/agents/{slug}/access", True),
        ("/v1/agents/{id}/access", "/v1/agents/access/{id}", True),
        ("/v1/agents/{id}", "/v1/agents/{id}:rename", True),
        ("/v1/agents/{id}", "/v1/agents:rename", False),
        ("/v1/agents/{id}:rename", "/v1/agents/{id}:delete", False),
        ("/v1/agents/{id}:rename", "/v1/agents/all:rename", True),
        ("/v1/agents/{id}:rename", "/v1/agents/:rename", False),
    ],
)
def test_the_proof_itself(one: str, other: str, expected: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is expected


def test_no_path_matches_two_bindings() -> None:
    assert [str(one) for one in BINDINGS if not TEMPLATE.fullmatch(one.path)] == []
    assert [
        f"{one} and {other}"
        for one, other in combinations(BINDINGS, 2)
        if one.verb == other.verb and overlap(one.path, other.path)
    ] == []


def test_every_call_has_a_binding() -> None:
    assert set(METHODS) == {binding.rpc for binding in BINDINGS}


def _renamed(binding: Binding, names: dict[tuple[str, str], tuple[str, str]]) -> Iterator[Binding]:
    """The binding with one reference named in the other way, for each reference in it."""
    for (segment, field), (its_segment, its_field) in names.items():
        for reference in re.findall(rf"/{segment}/\{{([a-z_]+)\.{field}\}}", binding.path):
            old = f"/{segment}/{{{reference}.{field}}}"
            new = f"/{its_segment}/{{{reference}.{its_field}}}"
            yield replace(binding, path=binding.path.replace(old, new))


def test_what_is_named_by_id_can_be_named_by_slug_or_login_and_the_other_way_round() -> None:
    by_name = {name: by_id for by_id, name in SIBLINGS.items()}
    wanted = {
        sibling
        for binding in BINDINGS
        for names in (SIBLINGS, by_name)
        for sibling in _renamed(binding, names)
    }
    assert sorted(map(str, wanted - set(BINDINGS))) == []
    # Each of the two references in it, in both ways.
    assert len([one for one in BINDINGS if one.rpc == "AccessService/GetAccess"]) == 4


def test_a_reference_in_a_path_stands_behind_the_segment_that_says_what_it_is() -> None:
    known = {*SIBLINGS, *SIBLINGS.values()}
    for binding in BINDINGS:
        segments = binding.path.split("/")
        for before, segment in pairwise(segments):
            for variable in VARIABLE.findall(segment):
                if "." in variable:
                    assert (before, variable.rpartition(".")[2]) in known, str(binding)


def _field(message: str, name: str) -> FieldDescriptorProto:
    (field,) = (one for one in MESSAGES[message].field if one.name == name)
    return field


@pytest.mark.parametrize("binding", BINDINGS, ids=str)
def test_variables_and_bodies_are_fields_of_the_request(binding: Binding) -> None:
    request = METHODS[binding.rpc].input_type.removeprefix(".")
    for variable in binding.variables:
        message = request
        *through, last = variable.split(".")
        for name in through:
            message = _field(message, name).type_name.removeprefix(".")
        field = _field(message, last)
        assert field.type in (field.TYPE_INT64, field.TYPE_STRING)
        assert field.label == field.LABEL_OPTIONAL
    assert len(set(binding.variables)) == len(binding.variables)
    if binding.verb in ("get", "delete"):
        assert binding.body == ""
    else:
        assert binding.body
    if binding.body not in ("", "*"):
        assert _field(request, binding.body).type == FieldDescriptorProto.TYPE_MESSAGE
