"""From records to messages. What a record does not have stays unset."""

import enum
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from accredit.v1 import (
    access_pb2,
    agent_pb2,
    change_pb2,
    site_pb2,
    token_pb2,
    types_pb2,
    user_pb2,
)
from accredit_storage.agents import ListedAgent
from accredit_storage.errors import StoreError
from accredit_storage.records import (
    Agent,
    Grant,
    Head,
    Role,
    Site,
    Subject,
    SubjectKind,
    Token,
    User,
)

from ..abilities.access import grant_etag
from ..abilities.agents.transfers import OfferView
from ..abilities.calls.consistency import (
    HASH_PREFIX,
    Basis,
    epoch_of,
    token_of,
)
from ..abilities.calls.mutations import etag
from ..abilities.changes import Shown
from ..abilities.errors import Refusal
from ..abilities.input import configs
from ..abilities.policy.permissions import ROLE_ACTIONS
from ..abilities.policy.rights import Decision, Principal
from ..interceptors.errors import failure_of, status_of

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# By identity, which costs nothing; the values keep their ids from being given to others.
_principals: dict[int, tuple[Principal, types_pb2.Principal]] = {}
_MOST_PRINCIPALS = 4096

_WHY = {
    Decision.TOKEN_INVALID: "the token is malformed, unknown, expired or revoked",
    Decision.AGENT_INACTIVE: "the agent is not active",
    Decision.USER_INACTIVE: "the user is unknown or deactivated",
    Decision.MINTER_WITHOUT_RIGHTS: "whoever minted the token has no right left to pass on",
    Decision.ROLE_INSUFFICIENT: "no sufficient role on this agent, or no such agent",
    Decision.SITE_REQUIRED: "the agent is scoped to a site: state the site",
    Decision.SITE_MISMATCH: "the agent is scoped to another site",
    Decision.CAPABILITY_MISSING: "the credential does not hold the capability",
    Decision.NOT_OWNER: "the resource belongs to another user",
    Decision.AGENT_AMBIGUOUS: "several agents could be meant: name one",
}


def role(value: Role) -> Any:
    """A role."""
    return number(types_pb2.Role, "ROLE_", value)


def number(wrapper: Any, prefix: str, member: enum.Enum) -> Any:
    """The proto enum's value for a member of the same name."""
    return _numbers(wrapper, prefix, type(member))[member]


@cache
def _numbers(wrapper: Any, prefix: str, kind: type[enum.Enum]) -> Mapping[enum.Enum, int]:
    # Those that the contract does not have are asked for by nobody.
    known = wrapper.keys()
    return {
        member: wrapper.Value(f"{prefix}{member.name}")
        for member in kind
        if f"{prefix}{member.name}" in known
    }


def decision(value: Decision) -> Any:
    """A decision."""
    return number(types_pb2.Decision, "DECISION_", value)


def decisions(values: Iterable[Decision]) -> Any:
    """Decisions, in their order."""
    known = _numbers(types_pb2.Decision, "DECISION_", Decision)
    return [known[one] for one in values]


def denial(value: Decision) -> types_pb2.Denial:
    """Why not."""
    return types_pb2.Denial(reason=decision(value), message=_WHY[value])


def principal(value: Principal) -> types_pb2.Principal:
    """Who speaks; not to be changed, since what memory holds is made into a message once."""
    known = _principals.get(id(value))
    if known is not None and known[0] is value:
        return known[1]
    if len(_principals) >= _MOST_PRINCIPALS:
        _principals.clear()
    message = _principal(value)
    _principals[id(value)] = (value, message)
    return message


def _principal(value: Principal) -> types_pb2.Principal:
    effective = {action.value for action in value.actions} | (value.capabilities or frozenset())
    message = types_pb2.Principal(
        kind=number(types_pb2.PrincipalKind, "PRINCIPAL_KIND_", value.kind),
        user_id=value.user.user_id,
        login=value.user.login,
        token_id="" if value.token is None else value.token.token_id,
        max_role=role(value.max_role),
        capabilities=sorted(effective),
        full_rights=value.capabilities is None,
    )
    if value.agent is not None:
        message.agent_id = value.agent.agent_id
        message.agent_slug = value.agent.agent_slug
        if value.agent.site_scope is not None:
            message.site_scope = value.agent.site_scope
    return message


def basis(value: Basis) -> types_pb2.Basis:
    """What an answer rests on."""
    message = types_pb2.Basis(cacheable=value.cacheable)
    message.MergeFrom(confirmation(value.head))
    kinds = _numbers(types_pb2.SubjectKind, "SUBJECT_KIND_", SubjectKind)
    named = sorted([(kinds[one.kind], one.subject_id) for one in value.subjects | value.hidden])
    add = message.depends_on.add
    for kind, subject_id in named:
        add(kind=kind, subject_id=subject_id)
    _set_time(message.judged_at, value.judged_at)
    if value.valid_until is not None:
        _set_time(message.valid_until, value.valid_until)
    return message


@lru_cache(maxsize=16)
def confirmation(head: Head) -> types_pb2.Basis:
    """The part of a basis that says at which state of the store an answer is good."""
    return types_pb2.Basis(
        position=types_pb2.Position(
            epoch=epoch_of(head),
            revision=head.revision,
            hash_prefix=head.hash[:HASH_PREFIX] if head.revision else b"",
        ),
        consistency_token=token_of(head),
    )


def subject(value: Subject) -> types_pb2.Subject:
    """One thing that a change touched or an answer rests on."""
    return types_pb2.Subject(
        kind=number(types_pb2.SubjectKind, "SUBJECT_KIND_", value.kind),
        subject_id=value.subject_id,
    )


def error(value: Refusal | StoreError) -> status_pb2.Status:
    """Why one item failed, as the status that a call of its own would have ended with."""
    failure = failure_of(value)
    if failure is None:
        raise RuntimeError(f"nobody has promised a status for {type(value).__name__}")
    return status_of(failure)


def agent(value: Agent, *, config: bool = True) -> agent_pb2.Agent:
    """An agent; on request without its config."""
    message = agent_pb2.Agent(
        agent_id=value.agent_id,
        agent_slug=value.agent_slug,
        agent_name=value.agent_name,
        owner_id=value.owner_id,
        config=struct(value.config) if config else None,
        status=number(agent_pb2.AgentStatus, "AGENT_STATUS_", value.status),
        etag=etag(value.version),
        create_time=time(value.created_at),
        update_time=time(value.updated_at),
    )
    if value.site_scope is not None:
        message.site_scope = value.site_scope
    return message


def listed_agent(value: ListedAgent, *, include_role: bool) -> agent_pb2.ListedAgent:
    """An agent in somebody's list."""
    one = value.agent
    message = agent_pb2.ListedAgent(
        agent_id=one.agent_id,
        agent_slug=one.agent_slug,
        agent_name=one.agent_name,
        owner_id=one.owner_id,
        status=number(agent_pb2.AgentStatus, "AGENT_STATUS_", one.status),
        description=configs.description(one.config),
        is_owner=value.is_owner,
    )
    if one.site_scope is not None:
        message.site_scope = one.site_scope
    if include_role and value.role is not None:
        message.user_role = role(value.role)
    return message


def grant(value: Grant, holder: User, *, named: bool = False) -> access_pb2.AccessGrant:
    """A grant with its holder's login; in lists, where they are ``named``, with name and e-mail."""
    return access_pb2.AccessGrant(
        agent_id=value.agent_id,
        principal=types_pb2.PrincipalRef(user_id=value.user_id),
        login=holder.login,
        role=role(value.role),
        grant_time=time(value.granted_at),
        granted_by=value.granted_by or 0,
        expire_time=time(value.expire_at),
        display_name=holder.display_name if named else "",
        email=holder.email if named else "",
        etag=grant_etag(value),
        update_time=time(value.updated_at),
    )


def named_grant(pair: tuple[Grant, User]) -> access_pb2.AccessGrant:
    """A grant in a list of an agent's."""
    return grant(*pair, named=True)


def offer(value: OfferView) -> agent_pb2.TransferOffer:
    """An offer of an agent to another owner."""
    one = value.offer
    return agent_pb2.TransferOffer(
        offer_id=one.offer_id,
        agent_id=one.agent_id,
        agent_slug=value.agent_slug,
        owner_id=one.owner_id,
        owner_login=value.owner_login,
        new_owner_id=one.new_owner_id,
        new_owner_login=value.new_owner_login,
        create_time=time(one.created_at),
        expire_time=time(one.expire_at),
    )


def token(value: Token) -> token_pb2.Token:
    """A token, which never has its secret."""
    message = token_pb2.Token(
        token_id=value.token_id,
        label=value.label,
        full_rights=value.ceiling is None,
        act_as_owner=value.act_as_owner,
        expire_time=time(value.expire_at),
        revoke_time=time(value.revoked_at),
        rotated_from=value.rotated_from or "",
        replaced_by=value.replaced_by or "",
        last_used_time=time(value.last_used_at),
        created_by=value.created_by,
        create_time=time(value.created_at),
        etag=etag(value.version),
    )
    if value.agent_id is not None:
        message.agent_id = value.agent_id
    elif value.user_id is not None:
        message.user_id = value.user_id
    if value.ceiling is not None:
        message.ceiling.max_role = role(value.ceiling.max_role)
        message.ceiling.capabilities.extend(value.ceiling.capabilities)
    return message


def user(value: User) -> user_pb2.User:
    """A user, with the actions of their role."""
    return user_pb2.User(
        user_id=value.user_id,
        login=value.login,
        kind=number(user_pb2.UserKind, "USER_KIND_", value.kind),
        role=number(user_pb2.UserRole, "USER_ROLE_", value.role),
        display_name=value.display_name,
        email=value.email,
        active=value.active,
        actions=sorted(ROLE_ACTIONS[value.role]),
        etag=etag(value.version),
        create_time=time(value.created_at),
        update_time=time(value.updated_at),
        default_agent_id=value.default_agent_id or 0,
    )


def site(value: Site) -> site_pb2.Site:
    """A site."""
    return site_pb2.Site(
        site_id=value.site_id,
        site_slug=value.site_slug,
        site_name=value.site_name,
        etag=etag(value.version),
        create_time=time(value.created_at),
        update_time=time(value.updated_at),
    )


def change(shown: Shown) -> change_pb2.Change:
    """A change, as far as it is shown."""
    value = shown.change
    return change_pb2.Change(
        revision=value.revision,
        create_time=time(value.at),
        kind=number(change_pb2.ChangeKind, "CHANGE_KIND_", value.kind),
        actor=change_pb2.Actor(
            user_id=value.actor.user_id or 0,
            agent_id=value.actor.agent_id or 0,
            token_id=value.actor.token_id or "",
        ),
        request_id=value.request_id,
        subjects=map(subject, value.subjects),
        before=None if value.before is None else struct(value.before),
        after=None if value.after is None else struct(value.after),
        hash=value.hash,
        before_digest=value.before_digest or b"",
        after_digest=value.after_digest or b"",
        previous_hash=value.previous_hash or b"",
        view=number(change_pb2.ChangeView, "CHANGE_VIEW_", shown.view),
    )


def struct(values: Any) -> Struct:
    """A JSON object."""
    message = Struct()
    message.update(values)
    return message


def time(value: datetime | None) -> Timestamp | None:
    """A point in time; None stays unset."""
    if value is None:
        return None
    message = Timestamp()
    _set_time(message, value)
    return message


def _set_time(message: Timestamp, value: datetime) -> None:
    # As FromDatetime does, which takes ten times as long.
    since = value - _UNIX_EPOCH
    message.seconds = since.days * 86_400 + since.seconds
    message.nanos = since.microseconds * 1000
