"""Adding a restriction, of whatever kind, never adds a right."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accredit_service.abilities.policy.permissions import ROLE_ACTIONS, Action
from accredit_service.abilities.policy.rights import (
    Decision,
    Principal,
    effective_role,
    judge,
    roles_of_user,
)
from accredit_storage.records import (
    Agent,
    AgentId,
    AgentStatus,
    Ceiling,
    Credential,
    Grant,
    Role,
    Token,
    User,
    UserId,
    UserKind,
    UserRole,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = [*sorted(action.value for action in Action), "billing.refund", "notes.write"]

# Mostly such as let a credential work: one that does not has no right to be compared.
moments = st.sampled_from([None, None, NOW + timedelta(1), NOW + timedelta(2), NOW])
mostly = st.sampled_from([True, True, True, True, False])
ceilings = st.builds(
    Ceiling,
    max_role=st.sampled_from(Role),
    capabilities=st.sets(st.sampled_from(NAMES)).map(sorted).map(tuple),
)


@st.composite
def users(draw: st.DrawFn, user_id: int) -> User:
    """A user of any role, active or not."""
    return User(
        user_id=UserId(user_id),
        login=f"user{user_id}",
        kind=UserKind.HUMAN,
        role=draw(st.sampled_from(UserRole)),
        display_name="",
        email="",
        active=draw(mostly),
        version=1,
        created_at=NOW,
        updated_at=NOW,
        directory_key="",
        files_made=False,
    )


@st.composite
def credentials(draw: st.DrawFn) -> Credential:
    """A token of a user or an agent, minted by its owner or by somebody else."""
    user = draw(users(1))
    minter = draw(st.one_of(st.just(user), users(2)))
    agent = None
    if draw(st.booleans()):
        agent = Agent(
            agent_id=AgentId(7),
            agent_slug="seven",
            agent_name="Seven",
            owner_id=UserId(1),
            config={},
            status=AgentStatus.ACTIVE if draw(mostly) else AgentStatus.ARCHIVED,
            site_scope=None,
            version=1,
            created_at=NOW,
            updated_at=NOW,
            directory_key="",
            files_made=False,
        )
    grant = Grant(
        agent_id=AgentId(7),
        user_id=UserId(2),
        role=draw(st.sampled_from(Role)),
        granted_by=UserId(1),
        granted_at=NOW,
        expire_at=draw(moments),
        version=1,
        updated_at=NOW,
    )
    token = Token(
        token_id="a" * 16,
        agent_id=None if agent is None else AgentId(7),
        user_id=UserId(1) if agent is None else None,
        label="",
        ceiling=draw(st.one_of(st.none(), ceilings)),
        act_as_owner=agent is not None and draw(st.booleans()),
        created_by=minter.user_id,
        created_at=NOW,
        expire_at=draw(moments),
        revoked_at=None if draw(mostly) else NOW,
        rotated_from=None,
        replaced_by=None,
        last_used_at=None,
        version=1,
    )
    held = grant if minter.user_id == 2 and draw(st.booleans()) else None
    return Credential(token=token, user=user, agent=agent, minter=minter, minter_grant=held)


def restricted(credential: Credential, added: Ceiling) -> Iterator[Credential]:
    """The same with one more restriction, of each kind."""
    token, old = credential.token, credential.token.ceiling
    for role in Role:
        lower, capabilities = role, set(added.capabilities)
        if old is not None:
            lower, capabilities = min(role, old.max_role), capabilities & set(old.capabilities)
        ceiling = Ceiling(max_role=lower, capabilities=tuple(sorted(capabilities)))
        yield replace(credential, token=replace(token, ceiling=ceiling))
    yield replace(credential, token=replace(token, expire_at=NOW))
    yield replace(credential, token=replace(token, revoked_at=NOW))
    yield replace(credential, minter=replace(credential.minter, active=False))
    former = replace(credential.minter, user_id=UserId(3), role=UserRole.MEMBER)
    yield replace(credential, vouchers=(*credential.vouchers, former))
    yield replace(credential, minter_grant=None)
    if credential.minter_grant is not None:
        lowered = replace(credential.minter_grant, role=Role.VIEWER)
        yield replace(credential, minter_grant=lowered)
    if credential.agent is not None:
        stopped = replace(credential.agent, status=AgentStatus.INACTIVE)
        yield replace(credential, agent=stopped)


def rights(credential: Credential) -> set[str]:
    """All that the credential is good for, as names; nothing if it does not work."""
    principal = judge(credential, NOW)
    if isinstance(principal, Decision):
        return set()
    held = {name for name in NAMES if principal.holds(name)}
    return held | {f"role {role.name}" for role in Role if role <= reach(principal, credential)}


def reach(principal: Principal, credential: Credential) -> int:
    """The role on the credential's agent; for a user's token the highest that it could have."""
    if credential.agent is None:
        return principal.max_role
    found = effective_role(principal, credential.agent, None, NOW)
    return 0 if found is None else found.role


def _check(wide: Credential, added: Ceiling) -> None:
    for narrow in restricted(wide, added):
        assert rights(narrow) <= rights(wide)


@given(credentials(), ceilings)
@settings(max_examples=1500, deadline=None)
def test_a_restriction_never_adds_a_right(wide: Credential, added: Ceiling) -> None:
    _check(wide, added)


@pytest.mark.soak
@given(credentials(), ceilings)
@settings(max_examples=100_000, deadline=None)
def test_a_restriction_never_adds_a_right_in_many_cases(wide: Credential, added: Ceiling) -> None:
    _check(wide, added)


@given(credentials())
@settings(max_examples=1500, deadline=None)
def test_nobody_passes_on_what_owner_or_minter_lacks(credential: Credential) -> None:
    given = rights(credential)
    actions = {action.value for action in Action} & given
    assert actions <= {action.value for action in ROLE_ACTIONS[credential.user.role]}
    minter, agent = credential.minter, credential.agent
    if minter.user_id == credential.user.user_id:
        return
    if agent is None and credential.user.role is UserRole.ADMINISTRATOR:
        # The one exception: an administrator's own token stands by itself.
        return
    assert actions <= {action.value for action in ROLE_ACTIONS[minter.role]}
    if agent is not None:
        theirs = ROLE_ACTIONS[minter.role]
        held = roles_of_user(minter, theirs, NOW)(agent, credential.minter_grant)
        most = 0 if held is None else held.role
        assert not [role for role in Role if f"role {role.name}" in given and role > most]
