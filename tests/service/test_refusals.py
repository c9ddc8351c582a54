"""Every part of a refusal's message that is not always the same stands in its metadata."""

import ast
from pathlib import Path

import pytest

import accredit_service
from accredit_service.abilities import errors
from accredit_service.abilities.errors import NotFound, Reason, Refusal, invalid

_SOURCES = sorted(Path(accredit_service.__file__).parent.rglob("*.py"))
_KINDS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, Refusal)
}


def _messages(source: Path) -> list[ast.expr]:
    """The templates of the refusals that a module makes."""
    return [
        call.args[1]
        for call in ast.walk(ast.parse(source.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in {*_KINDS, "invalid"}
        and len(call.args) > 1
    ]


@pytest.mark.parametrize("source", _SOURCES, ids=lambda path: path.stem)
def test_a_message_is_a_template_and_never_put_together(source: Path) -> None:
    put_together = [
        f"{source.name}:{message.lineno}"
        for message in _messages(source)
        if any(isinstance(part, ast.JoinedStr | ast.Call) for part in ast.walk(message))
    ]
    assert put_together == []


def test_the_modules_are_searched_where_refusals_are_made() -> None:
    assert sum(len(_messages(source)) for source in _SOURCES) > 100


def test_what_a_message_says_stands_in_its_metadata() -> None:
    refusal = NotFound(Reason.SITE_NOT_FOUND, "there is no site {site!r}", site="a{b}c")
    assert refusal.message == "there is no site 'a{b}c'"
    assert refusal.metadata == {"site": "a{b}c"}


def test_a_field_says_its_path_and_its_rule() -> None:
    refusal = invalid("agent.agent_slug", "at most {limit} characters", limit=5)
    assert refusal.message == "agent.agent_slug: at most 5 characters"
    assert refusal.metadata == {"field": "agent.agent_slug", "limit": "5"}
    (field,) = refusal.fields
    assert (field.path, field.rule) == ("agent.agent_slug", "at most 5 characters")
