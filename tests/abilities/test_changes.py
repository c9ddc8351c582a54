"""The change log: one change a mutating call, who did it, to what, and whether it is still true."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from sqlalchemy import text

from accredit.v1 import change_pb2
from accredit_service.background import Housekeeping
from tests.abilities.asking import pages
from tests.abilities.scene import METHODS, REQUESTS, Scene, contents, mutates
from tests.registry import Person, Registry

#: What each call that changes something logs: the kind, and what kinds of things it touched.
LOGGED: Mapping[str, tuple[str, str]] = {
    "AgentService/CreateAgent": ("AGENT_CREATED", "AGENT GRANT USER"),
    "AgentService/BatchCreateAgents": ("BULK", "AGENT GRANT USER"),
    "AgentService/UpdateAgent": ("AGENT_UPDATED", "AGENT USER"),
    "AgentService/RenameAgent": ("AGENT_RENAMED", "AGENT USER"),
    "AgentService/DeleteAgent": ("AGENT_DELETED", "AGENT GRANT TOKEN USER"),
    "AgentService/TransferAgent": ("AGENT_TRANSFERRED", "AGENT GRANT TOKEN USER"),
    "AgentService/ProvisionAgent": ("AGENT_CREATED", "AGENT GRANT USER"),
    "AccessService/GrantAccess": ("GRANT_CHANGED", "AGENT GRANT USER"),
    "AccessService/RevokeAccess": ("GRANT_REVOKED", "AGENT GRANT USER"),
    "TokenService/CreateToken": ("TOKEN_CREATED", "AGENT TOKEN"),
    "TokenService/RotateToken": ("TOKEN_ROTATED", "AGENT TOKEN"),
    "TokenService/RevokeToken": ("TOKEN_REVOKED", "AGENT TOKEN"),
    "TokenService/RevokeAgentTokens": ("TOKEN_REVOKED", "AGENT TOKEN"),
    "TokenService/RevokeUserTokens": ("TOKEN_REVOKED", "TOKEN USER"),
    "UserService/CreateUser": ("USER_CREATED", "USER"),
    "UserService/UpdateUser": ("USER_UPDATED", "USER"),
    "UserService/DeactivateUser": ("USER_DEACTIVATED", "USER"),
    "UserService/DeleteUser": ("USER_DELETED", "GRANT TOKEN USER"),
    "SiteService/CreateSite": ("SITE_CREATED", "SITE"),
    "SiteService/DeleteSite": ("SITE_DELETED", "SITE"),
    "DirectoryService/WriteFile": ("FILE_WRITTEN", "AGENT"),
    "DirectoryService/AppendFile": ("FILE_WRITTEN", "AGENT"),
    "DirectoryService/DeleteFile": ("FILE_DELETED", "AGENT"),
    "DirectoryService/ScaffoldFiles": ("FILES_SCAFFOLDED", "AGENT"),
    "DirectoryService/AppendDailyMemory": ("FILE_WRITTEN", "AGENT"),
    "DirectoryService/WriteDailyMemory": ("FILE_WRITTEN", "AGENT"),
    "DirectoryService/DeleteDailyMemory": ("FILE_DELETED", "AGENT"),
    "RegistryService/RegisterAgent": ("DEFINITION_REGISTERED", "DEFINITION"),
    "RegistryService/UnregisterAgent": ("DEFINITION_UNREGISTERED", "DEFINITION"),
    "RegistryService/SuppressAgent": ("DEFINITION_SUPPRESSED", "DEFINITION"),
    "RegistryService/ReconcileAgents": ("DEFINITION_RECONCILED", "AGENT GRANT USER"),
    "RegistryService/RegisterMemoryFileType": ("MEMORY_FILE_TYPE_CHANGED", "MEMORY_FILE_TYPE"),
    "RegistryService/UnregisterMemoryFileType": ("MEMORY_FILE_TYPE_CHANGED", "MEMORY_FILE_TYPE"),
}
#: How the kinds end of changes that make something, and of those that end something.
MAKE = (
    "CREATED",
    "BULK",
    "WRITTEN",
    "SCAFFOLDED",
    "N_REGISTERED",
    "RECONCILED",
)
END = ("DELETED", "GRANT_REVOKED", "UNREGISTERED")


@pytest.fixture
def scene(registry: Registry) -> Scene:
    return Scene.make(registry)


def _list(person: Person, **query: Any) -> list[Any]:
    return list(person.call("ChangeService/ListChanges", page_size=500, **query).changes)


def _newest(registry: Registry, count: int = 1) -> list[Any]:
    answer = registry.admin.call("ChangeService/ListChanges", newest_first=True, page_size=count)
    return list(answer.changes)


def _kind(change: Any) -> str:
    return change_pb2.ChangeKind.Name(change.kind).removeprefix("CHANGE_KIND_")


def _subjects(change: Any, kind: str) -> list[str]:
    wanted = change_pb2.SubjectKind.Value(f"SUBJECT_KIND_{kind}")
    return [one.subject_id for one in change.subjects if one.kind == wanted]


def _payload(change: Any, which: str) -> dict[str, Any] | None:
    return MessageToDict(getattr(change, which)) if change.HasField(which) else None


def test_every_call_that_changes_something_is_here() -> None:
    assert set(LOGGED) == {method for method in METHODS if mutates(method)}


@pytest.mark.parametrize("method", LOGGED)
def test_a_call_logs_one_change_that_says_who_did_what_to_what(scene: Scene, method: str) -> None:
    admin, id_ = scene.administrator, str(uuid.uuid4())
    fields = REQUESTS[method](scene, admin)
    (last,) = _newest(scene.registry)

    if method == "RegistryService/ReconcileAgents":
        id_ = ""
        admin.call(method, **fields)
    else:
        admin.call(method, **fields, request_id=id_)

    change, before = _newest(scene.registry, 2)
    kind, subjects = LOGGED[method]
    assert before == last
    assert change.revision == last.revision + 1
    assert _kind(change) == kind
    assert (change.actor.user_id, change.actor.agent_id) == (admin.user_id, 0)
    assert change.actor.token_id == admin.token_id
    assert change.request_id == id_
    assert (
        sorted(
            {
                name
                for each in change_pb2.SubjectKind.keys()  # noqa: SIM118
                if _subjects(change, name := each.removeprefix("SUBJECT_KIND_"))
            }
        )
        == subjects.split()
    )
    assert len(change.hash) == 32
    made = kind.endswith(MAKE) or method.endswith("RegisterMemoryFileType")
    ended = kind.endswith(END) or method.endswith("DeregisterMemoryFileType")
    several = method in ("TokenService/RevokeAgentTokens", "TokenService/RevokeUserTokens")
    assert change.HasField("before") is not (made or several)
    assert change.HasField("after") is not ended


def test_what_changes_nothing_logs_nothing(scene: Scene) -> None:
    admin, registry = scene.administrator, scene.registry
    inactive: dict[str, Any] = {"user": {"user_id": scene.heir.user_id}}
    admin.call("UserService/DeactivateUser", **inactive)
    admin.call("TokenService/RevokeToken", token_id=scene.token.token_id)
    (last,) = _newest(registry)

    admin.call("UserService/DeactivateUser", **inactive)
    admin.call("TokenService/RevokeToken", token_id=scene.token.token_id)
    admin.call("TokenService/RevokeAgentTokens", **scene.agent)
    slug = admin.call("AgentService/GetAgent", **scene.agent).agent.agent_slug
    admin.call("AgentService/CreateAgent", agent_slug=slug, create_if_missing=True)
    admin.call("AgentService/BatchCreateAgents", requests=[{"agent_slug": slug}])
    scene.owner.call("AgentService/ProvisionAgent")
    assert _newest(registry) == [last]


def test_an_agents_change_is_the_agents_on_behalf_of_its_owner(scene: Scene) -> None:
    caller = scene.registry.agent_token(
        scene.owner, scene.agent_id, ceiling={"max_role": "ROLE_ADMIN"}
    )
    caller.call("AgentService/UpdateAgent", **scene.agent, update={"agent_name": "Itself"})
    (change,) = _newest(scene.registry)
    assert (change.actor.user_id, change.actor.agent_id, change.actor.token_id) == (
        scene.owner.user_id,
        scene.agent_id,
        caller.token_id,
    )


def test_before_and_after_say_what_was_and_what_is(scene: Scene) -> None:
    scene.owner.call(
        "AgentService/UpdateAgent",
        **scene.agent,
        update={"agent_name": "New", "config": {"deep": [{"k": 1}]}},
    )
    (change,) = _newest(scene.registry)
    before, after = _payload(change, "before"), _payload(change, "after")
    assert before
    assert after
    assert (before["agent_name"], after["agent_name"]) != ("New", "New")
    assert (before["config"], after["config"]) == ({}, {"deep": [{"k": 1}]})
    assert before["status"] == after["status"] == "active"


def test_what_goes_along_is_among_the_subjects(scene: Scene) -> None:
    registry, owner, grantee = scene.registry, scene.owner, scene.grantee
    minted = registry.agent_token(grantee, scene.agent_id)
    agent, ours = str(scene.agent_id), scene.token.token_id

    registry.admin.call(
        "AccessService/RevokeAccess", **scene.agent, principal={"user_id": grantee.user_id}
    )
    (revoked,) = _newest(registry)
    assert _subjects(revoked, "GRANT") == [f"{agent}:{grantee.user_id}"]
    assert _subjects(revoked, "TOKEN") == [minted.token_id]

    owner.call(
        "AgentService/TransferAgent", **scene.agent, new_owner={"user_id": scene.heir.user_id}
    )
    (moved,) = _newest(registry)
    assert _subjects(moved, "TOKEN") == [ours]
    users = {str(owner.user_id), str(scene.heir.user_id)}
    assert set(_subjects(moved, "USER")) == users
    assert set(_subjects(moved, "GRANT")) == {f"{agent}:{user}" for user in users}

    registry.admin.call("UserService/DeleteUser", user={"user_id": scene.viewer.user_id})
    (gone,) = _newest(registry)
    assert _subjects(gone, "GRANT") == [f"{agent}:{scene.viewer.user_id}"]
    assert _subjects(gone, "TOKEN") == [scene.viewer.token_id]

    registry.admin.call("AgentService/DeleteAgent", **scene.agent)
    (deleted,) = _newest(registry)
    left = (scene.heir, scene.operator)
    assert set(_subjects(deleted, "GRANT")) == {f"{agent}:{one.user_id}" for one in left}
    assert set(_subjects(deleted, "TOKEN")) == {ours, minted.token_id}


def test_no_secret_is_ever_logged_or_stored(scene: Scene) -> None:
    registry, owner = scene.registry, scene.owner
    secrets = [scene.token.token, owner.token, registry.admin.token]
    minted = owner.call(
        "TokenService/CreateToken", **scene.agent, full_rights=True, request_id=str(uuid.uuid4())
    )
    rotated = owner.call(
        "TokenService/RotateToken", token_id=minted.token.token_id, request_id=str(uuid.uuid4())
    )
    secrets += [minted.secret, rotated.secret]
    owner.call("TokenService/RevokeToken", token_id=rotated.token.token_id)
    registry.admin.call("AgentService/DeleteAgent", **scene.agent)

    everything = str(contents(registry)) + str(_newest(registry, 500))

    for secret in secrets:
        _, token_id, random = secret.split("_")
        assert token_id in everything
        assert random not in everything


def test_changes_are_filtered_by_all_that_is_asked(own_registry: Registry) -> None:
    registry = own_registry
    owner, other = registry.user(), registry.user()
    agent_id = registry.agent(owner).agent_id
    second = owner.call("TokenService/CreateToken", full_rights=True)
    by_second = Person(registry, second.secret)
    itself = registry.agent_token(owner, agent_id, ceiling={"max_role": "ROLE_ADMIN"})
    by_second.call("UserService/UpdateUser", user={"user_id": owner.user_id}, update={"email": ""})
    registry.clock.advance(hours=1)
    middle = registry.clock()
    ref: dict[str, Any] = {"agent": {"agent_id": agent_id}}
    itself.call("AgentService/UpdateAgent", **ref, update={"agent_name": "N"})
    registry.clock.advance(hours=1)
    late = registry.clock()
    registry.grant(agent_id, other)
    owner.call("AgentService/DeleteAgent", **ref)
    everything = _list(registry.admin)
    revisions = [one.revision for one in everything]
    assert revisions == list(range(1, len(everything) + 1))

    def listed(**query: Any) -> list[str]:
        found = _list(registry.admin, **query)
        # However they are filtered, they are some of all, in order.
        assert found == [one for one in everything if one in found]
        assert _list(registry.admin, newest_first=True, **query) == found[::-1]
        return [_kind(one) for one in found]

    of_agent = ["AGENT_CREATED", "TOKEN_CREATED", "AGENT_UPDATED", "GRANT_CHANGED", "AGENT_DELETED"]
    assert listed(agent_id=agent_id) == of_agent
    assert listed(user_id=other.user_id) == ["USER_CREATED", "TOKEN_CREATED", "GRANT_CHANGED"]
    assert listed(agent_id=agent_id, user_id=other.user_id) == ["GRANT_CHANGED"]
    own = ["TOKEN_CREATED", "TOKEN_CREATED", "USER_UPDATED", "AGENT_UPDATED", "AGENT_DELETED"]
    assert listed(actor={"user_id": owner.user_id}) == own
    assert listed(actor={"agent_id": agent_id}) == ["AGENT_UPDATED"]
    assert listed(actor={"token_id": second.token.token_id}) == ["USER_UPDATED"]
    assert listed(actor={"user_id": other.user_id, "agent_id": agent_id}) == []
    kinds = ["CHANGE_KIND_GRANT_CHANGED", "CHANGE_KIND_AGENT_DELETED"]
    assert listed(kinds=kinds) == ["GRANT_CHANGED", "AGENT_DELETED"]
    assert listed(kinds=kinds[:1], agent_id=agent_id) == ["GRANT_CHANGED"]
    assert listed(start_time=middle, end_time=late) == ["AGENT_UPDATED"]
    assert listed(start_time=late) == ["GRANT_CHANGED", "AGENT_DELETED"]
    assert listed(start_time=late, end_time=middle) == []
    # The beginning is part of it, the end is not.
    created = everything[-1].create_time
    assert listed(start_time=created)[-1] == "AGENT_DELETED"
    assert listed(end_time=created)[-1] == "GRANT_CHANGED"
    # Paged, nothing is lost or doubled.
    for newest in (False, True):
        found = pages(
            registry.admin, "ChangeService/ListChanges", "changes", page_size=4, newest_first=newest
        )
        flat = [one for page in found for one in page]
        assert flat == (everything[::-1] if newest else everything)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"agent_id": -1}, "agent_id"),
        ({"user_id": -1}, "user_id"),
        ({"actor": {"user_id": -1}}, "actor.user_id"),
        ({"actor": {"agent_id": -1}}, "actor.agent_id"),
        ({"actor": {"token_id": "x" * 101}}, "actor.token_id"),
        ({"actor": {"token_id": "\0"}}, "actor.token_id"),
        ({"kinds": [0]}, "kinds[0]"),
        ({"kinds": [1, 999]}, "kinds[1]"),
        ({"kinds": [1] * 51}, "kinds"),
        ({"start_time": {"seconds": 2**60}}, "start_time"),
        ({"end_time": {"nanos": -1}}, "end_time"),
    ],
)
def test_a_filter_that_breaks_a_rule_is_refused_by_its_field(
    registry: Registry, query: dict[str, Any], field: str
) -> None:
    refusal = registry.admin.refused("ChangeService/ListChanges", **query)
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])


def test_the_log_of_an_agent_is_for_its_admins_and_no_other_agents(scene: Scene) -> None:
    registry, member, other = scene.registry, scene.member, scene.guest
    slugs = [registry.name("batch"), registry.name("batch")]
    answer = registry.admin.call(
        "AgentService/BatchCreateAgents",
        requests=[
            {"agent_slug": slug, "owner": {"user_id": owner.user_id}, "config": {"of": owner.login}}
            for slug, owner in zip(slugs, (member, other), strict=True)
        ],
    )
    own, foreign = (one.agent for one in answer.results)
    (change,) = _list(member, agent_id=own.agent_id)

    assert _kind(change) == "BULK"
    told = str(change)
    for secret in (slugs[1], other.login, f'"{foreign.agent_id}"', f":{other.user_id}"):
        assert secret not in told
    (whole,) = _list(registry.admin, agent_id=own.agent_id)
    assert slugs[1] in str(whole)
    for query in ({}, {"agent_id": foreign.agent_id}, {"user_id": member.user_id}):
        assert member.refused("ChangeService/ListChanges", **query).code.name == "PERMISSION_DENIED"


def test_the_log_outlives_the_agent_for_who_may_audit(scene: Scene) -> None:
    scene.owner.call("AgentService/DeleteAgent", **scene.agent)
    assert [_kind(one) for one in _list(scene.registry.admin, agent_id=scene.agent_id)][-1] == (
        "AGENT_DELETED"
    )
    refusal = scene.owner.refused("ChangeService/ListChanges", agent_id=scene.agent_id)
    assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"


def _verify(registry: Registry, **request: Any) -> Any:
    return registry.admin.call("ChangeService/VerifyChanges", **request)


def test_an_untouched_log_verifies_from_any_anchor(own_registry: Registry) -> None:
    registry = own_registry
    for _ in range(5):
        registry.site()
    changes = _list(registry.admin)
    head = changes[-1]

    whole = _verify(registry)
    assert (whole.intact, whole.first_broken_revision, whole.checked) == (True, 0, len(changes))
    assert (whole.head.revision, whole.head.hash) == (head.revision, head.hash)
    assert whole.next_page_token == ""
    for change in changes:
        since = _verify(registry, anchor={"revision": change.revision, "hash": change.hash})
        assert (since.intact, since.checked) == (True, len(changes) - change.revision)
    assert _verify(registry, anchor={}).checked == len(changes)


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        pytest.param("UPDATE changes SET actor_user_id = 7 WHERE revision = 3", 3, id="an actor"),
        pytest.param(
            "UPDATE changes SET after = '{}' WHERE revision = 4", 4, id="what is there after"
        ),
        pytest.param("DELETE FROM changes WHERE revision = 3", 3, id="a change in the middle"),
        pytest.param("DELETE FROM changes WHERE revision > 4", 5, id="the newest changes"),
    ],
)
def test_the_first_change_that_was_tampered_with_is_named(
    own_registry: Registry, tamper: str, broken: int
) -> None:
    registry = own_registry
    for _ in range(5):
        registry.site()
    changes = _list(registry.admin)
    with registry.app.store.write() as tx:
        tx.connection.execute(text(tamper))
    found = _verify(registry)
    assert (found.intact, found.first_broken_revision) == (False, broken)
    assert (found.head.revision, found.head.hash) == (broken - 1, changes[broken - 2].hash)


def test_an_anchor_kept_elsewhere_finds_a_log_that_was_written_anew(
    own_registry: Registry,
) -> None:
    registry = own_registry
    for _ in range(3):
        registry.site()
    noted = _list(registry.admin)[2]
    anchor = {"revision": noted.revision, "hash": bytes(32)}
    found = _verify(registry, anchor=anchor)
    assert (found.intact, found.first_broken_revision) == (False, noted.revision)
    ahead = _verify(registry, anchor={"revision": 999, "hash": noted.hash})
    assert not ahead.intact


@pytest.mark.parametrize(
    ("anchor", "field"),
    [
        ({"revision": -1}, "anchor.revision"),
        ({"revision": 1}, "anchor.hash"),
        ({"revision": 1, "hash": b"x" * 31}, "anchor.hash"),
        ({"hash": b"x" * 32}, "anchor.hash"),
    ],
)
def test_what_is_no_anchor_is_refused(
    registry: Registry, anchor: dict[str, Any], field: str
) -> None:
    refusal = registry.admin.refused("ChangeService/VerifyChanges", anchor=anchor)
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])


def test_what_is_past_its_time_is_pruned_and_the_rest_still_verifies(
    own_registry: Registry,
) -> None:
    registry = own_registry
    for _ in range(3):
        registry.site()
    old = _list(registry.admin)
    registry.clock.advance(days=401)
    registry.site()
    Housekeeping(registry.app).sweep()
    kept = _list(registry.admin)
    assert [one.revision for one in kept] == [old[-1].revision + 1]
    assert _verify(registry).intact
    # An anchor from before is no longer comparable, and no alarm.
    assert _verify(registry, anchor={"revision": 2, "hash": old[1].hash}).intact
    assert registry.clock() - timedelta(days=400) < kept[0].create_time.ToDatetime(
        tzinfo=registry.clock().tzinfo
    )
