"""What callers are told of an agent that is hidden from them: as much as of none."""

from typing import Any

from tests.server import Person, RefusedError


def require_nothing_told(caller: Person, slug: str, missing: str) -> None:
    """Raise AssertionError if replies tell a hidden agent from a slug that is ``missing``."""
    if is_hidden(caller, slug):
        for ask in (check_oneself, own_scope, own_resource):
            assert ask(caller, slug) == ask(caller, missing)


def is_hidden(caller: Person, slug: str) -> bool:
    """Whether a caller may not know whether somebody has a slug."""
    try:
        caller.call("AgentService/GetAgent", agent={"agent_slug": slug})
    except RefusedError as refusal:
        return refusal.reason == "AGENT_ACCESS_DENIED"
    return False


def check_oneself(caller: Person, slug: str) -> Any:
    check = {"caller": True, "agent": {"agent_slug": slug}, "minimum_role": "ROLE_VIEWER"}
    return _told(caller.call("AccessService/CheckAccess", check=check), slug)


def own_scope(caller: Person, slug: str) -> Any:
    about: dict[str, Any] = {"agent": {"agent_slug": slug}, "minimum_role": "ROLE_VIEWER"}
    return _told(caller.call("ScopeService/ResolveScope", caller=True, **about), slug)


def own_resource(caller: Person, slug: str) -> Any:
    about: dict[str, Any] = {
        "resource": {"agent": {"agent_slug": slug}},
        "minimum_role": "ROLE_VIEWER",
    }
    return _told(caller.call("ScopeService/CheckResource", caller=True, **about), slug)


def _told(reply: Any, slug: str) -> Any:
    """All that a reply tells, but for the slug that it was asked about."""
    for subject in reply.basis.depends_on:
        if subject.subject_id == slug:
            subject.subject_id = "the slug"
    return reply
