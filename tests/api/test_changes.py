"""The change log: one change a mutating call, who did it, to what, and whether it is still true."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from accredit.v1 import change_pb2, types_pb2
from accredit_service.abilities.policy import subjects
from tests.api.asking import changes_of, pages
from tests.api.scene import METHODS, REQUESTS, Scene, contents, mutates
from tests.server import Person, Server

#: What each call that changes something logs: the kind, and what kinds of things it touched.
LOGGED: Mapping[str, tuple[str, str]] = {
    "AgentService/CreateAgent": ("AGENT_CREATED", "AGENT AGENT_SLUG GRANT USER"),
    "AgentService/BatchCreateAgents": ("BULK", "AGENT AGENT_SLUG GRANT USER"),
    "AgentService/UpdateAgent": ("AGENT_UPDATED", "AGENT USER"),
    "AgentService/SetAgentStatus": ("AGENT_UPDATED", "AGENT USER"),
    "AgentService/RenameAgent": ("AGENT_RENAMED", "AGENT AGENT_SLUG USER"),
    "AgentService/DeleteAgent": ("AGENT_DELETED", "AGENT AGENT_SLUG GRANT TOKEN USER"),
    "AgentService/TransferAgent": ("AGENT_TRANSFERRED", "AGENT GRANT TOKEN USER"),
    "AgentService/AcceptTransfer": ("AGENT_TRANSFERRED", "AGENT GRANT TRANSFER_OFFER USER"),
    "AgentService/DeclineTransfer": ("TRANSFER_DECLINED", "AGENT TRANSFER_OFFER USER"),
    "AgentService/SetDefaultAgent": ("DEFAULT_AGENT_SET", "AGENT USER"),
    "AgentService/ProvisionAgent": ("AGENT_CREATED", "AGENT AGENT_SLUG GRANT USER"),
    "AccessService/GrantAccess": ("GRANT_CHANGED", "AGENT GRANT USER"),
    "AccessService/RevokeAccess": ("GRANT_REVOKED", "AGENT GRANT USER"),
    "TokenService/CreateToken": ("TOKEN_CREATED", "AGENT TOKEN"),
    "TokenService/RotateToken": ("TOKEN_ROTATED", "AGENT TOKEN"),
    "TokenService/RevokeToken": ("TOKEN_REVOKED", "AGENT TOKEN"),
    "TokenService/RevokeAgentTokens": ("TOKEN_REVOKED", "AGENT TOKEN"),
    "TokenService/RevokeUserTokens": ("TOKEN_REVOKED", "TOKEN USER"),
    "UserService/CreateUser": ("USER_CREATED", "LOGIN USER"),
    "UserService/UpdateUser": ("USER_UPDATED", "USER"),
    "UserService/DeactivateUser": ("USER_DEACTIVATED", "USER"),
    "UserService/DeleteUser": ("USER_DELETED", "GRANT LOGIN TOKEN USER"),
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
    "RegistryService/UnsuppressAgent": ("DEFINITION_SUPPRESSED", "DEFINITION"),
    "RegistryService/ReconcileAgents": (
        "DEFINITION_RECONCILED",
        "AGENT AGENT_SLUG DEFINITION GRANT USER",
    ),
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
END = ("DELETED", "GRANT_REVOKED", "UNREGISTERED", "DECLINED")


@pytest.fixture
def scene(server: Server) -> Scene:
    return Scene.make(server)


def _about(kind: str, subject_id: object) -> dict[str, str]:
    return {"kind": f"SUBJECT_KIND_{kind}", "subject_id": str(subject_id)}


def _of(*agent_ids: int) -> dict[str, Any]:
    """The filter by agents."""
    return {"subjects": [_about("AGENT", agent_id) for agent_id in agent_ids]}


def _newest(server: Server, count: int = 1) -> list[Any]:
    answer = server.admin.call("ChangeService/ListChanges", newest_first=True, page_size=count)
    return list(answer.changes)


def _kind(change: Any) -> str:
    return change_pb2.ChangeKind.Name(change.kind).removeprefix("CHANGE_KIND_")


def _subjects(change: Any, kind: str) -> list[str]:
    wanted = types_pb2.SubjectKind.Value(f"SUBJECT_KIND_{kind}")
    return [one.subject_id for one in change.subjects if one.kind == wanted]


def _payload(change: Any, which: str) -> dict[str, Any] | None:
    return MessageToDict(getattr(change, which)) if change.HasField(which) else None


def test_every_call_that_changes_something_is_here() -> None:
    assert set(LOGGED) == {method for method in METHODS if mutates(method)}


@pytest.mark.parametrize("method", LOGGED)
def test_a_call_logs_one_change_that_says_who_did_what_to_what(scene: Scene, method: str) -> None:
    admin, id_ = scene.administrator, str(uuid.uuid4())
    fields = REQUESTS[method](scene, admin)
    (last,) = _newest(scene.server)

    if method == "RegistryService/ReconcileAgents":
        id_ = ""
        admin.call(method, **fields)
    else:
        admin.call(method, **fields, request_id=id_)

    change, before = _newest(scene.server, 2)
    kind, touched = LOGGED[method]
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
                for each in types_pb2.SubjectKind.keys()  # noqa: SIM118
                if _subjects(change, name := each.removeprefix("SUBJECT_KIND_"))
            }
        )
        == touched.split()
    )
    assert len(change.hash) == 32
    made = kind.endswith(MAKE) or method.endswith("RegisterMemoryFileType")
    ended = kind.endswith(END) or method.endswith("UnregisterMemoryFileType")
    several = method in ("TokenService/RevokeAgentTokens", "TokenService/RevokeUserTokens")
    assert change.HasField("before") is not (made or several)
    assert change.HasField("after") is not ended


def test_what_changes_nothing_logs_nothing(scene: Scene) -> None:
    admin, server = scene.administrator, scene.server
    inactive: dict[str, Any] = {"user": {"user_id": scene.heir.user_id}}
    admin.call("UserService/DeactivateUser", **inactive)
    admin.call("TokenService/RevokeToken", token_id=scene.token.token_id)
    (last,) = _newest(server)

    admin.call("UserService/DeactivateUser", **inactive)
    admin.call("TokenService/RevokeToken", token_id=scene.token.token_id)
    admin.call("TokenService/RevokeAgentTokens", **scene.agent)
    slug = admin.call("AgentService/GetAgent", **scene.agent).agent.agent_slug
    again: dict[str, Any] = {"agent_slug": slug, "owner": {"user_id": admin.user_id}}
    admin.call("AgentService/CreateAgent", **again, create_if_missing=True)
    admin.call("AgentService/BatchCreateAgents", requests=[again])
    scene.owner.call("AgentService/ProvisionAgent")
    assert _newest(server) == [last]


def test_an_agents_change_is_the_agents_on_behalf_of_its_owner(scene: Scene) -> None:
    caller = scene.server.agent_token(
        scene.owner, scene.agent_id, ceiling={"max_role": "ROLE_ADMIN"}
    )
    caller.call("AgentService/UpdateAgent", **scene.agent, update={"agent_name": "Itself"})
    (change,) = _newest(scene.server)
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
    (change,) = _newest(scene.server)
    before, after = _payload(change, "before"), _payload(change, "after")
    assert before
    assert after
    assert (before["agent_name"], after["agent_name"]) != ("New", "New")
    assert (before["config"], after["config"]) == ({}, {"deep": [{"k": 1}]})
    assert before["status"] == after["status"] == "active"


def test_what_goes_along_is_among_the_subjects(scene: Scene) -> None:
    server, owner, grantee = scene.server, scene.owner, scene.grantee
    minted = server.agent_token(grantee, scene.agent_id)
    agent, ours = str(scene.agent_id), scene.token.token_id

    server.admin.call(
        "AccessService/RevokeAccess", **scene.agent, principal={"user_id": grantee.user_id}
    )
    (revoked,) = _newest(server)
    assert _subjects(revoked, "GRANT") == [f"{agent}:user:{grantee.user_id}"]
    assert _subjects(revoked, "TOKEN") == [minted.token_id]

    server.admin.call(
        "AgentService/TransferAgent", **scene.agent, new_owner={"user_id": scene.heir.user_id}
    )
    (moved,) = _newest(server)
    assert _subjects(moved, "TOKEN") == [ours]
    users = {str(owner.user_id), str(scene.heir.user_id)}
    assert set(_subjects(moved, "USER")) == users
    assert set(_subjects(moved, "GRANT")) == {f"{agent}:user:{user}" for user in users}

    server.admin.call("UserService/DeleteUser", user={"user_id": scene.viewer.user_id})
    (gone,) = _newest(server)
    assert _subjects(gone, "GRANT") == [f"{agent}:user:{scene.viewer.user_id}"]
    assert _subjects(gone, "TOKEN") == [scene.viewer.token_id]

    server.admin.call("AgentService/DeleteAgent", **scene.agent)
    (deleted,) = _newest(server)
    left = (scene.heir, scene.operator)
    assert set(_subjects(deleted, "GRANT")) == {f"{agent}:user:{one.user_id}" for one in left}
    assert set(_subjects(deleted, "TOKEN")) == {ours, minted.token_id}


def test_no_secret_is_ever_logged_or_stored(scene: Scene) -> None:
    server, owner = scene.server, scene.owner
    secrets = [scene.token.token, owner.token, server.admin.token]
    minted = owner.call(
        "TokenService/CreateToken", **scene.agent, full_rights=True, request_id=str(uuid.uuid4())
    )
    rotated = owner.call(
        "TokenService/RotateToken", token_id=minted.token.token_id, request_id=str(uuid.uuid4())
    )
    secrets += [minted.secret, rotated.secret]
    owner.call("TokenService/RevokeToken", token_id=rotated.token.token_id)
    server.admin.call("AgentService/DeleteAgent", **scene.agent)

    everything = str(contents(server)) + str(_newest(server, 500))

    for secret in secrets:
        _, token_id, random = secret.split("_")
        assert token_id in everything
        assert random not in everything


def test_changes_are_filtered_by_all_that_is_asked(own_server: Server) -> None:
    server = own_server
    owner, other = server.user(), server.user()
    made = server.agent(owner)
    agent_id = made.agent_id
    mine: dict[str, Any] = {"user": {"user_id": owner.user_id}}
    second = owner.call("TokenService/CreateToken", **mine, full_rights=True)
    by_second = Person(server, second.secret)
    itself = server.agent_token(owner, agent_id, ceiling={"max_role": "ROLE_ADMIN"})
    by_second.call("UserService/UpdateUser", user={"user_id": owner.user_id}, update={"email": ""})
    server.clock.advance(hours=1)
    middle = server.clock()
    ref: dict[str, Any] = {"agent": {"agent_id": agent_id}}
    itself.call("AgentService/UpdateAgent", **ref, update={"agent_name": "N"})
    server.clock.advance(hours=1)
    late = server.clock()
    server.grant(agent_id, other)
    owner.call("AgentService/DeleteAgent", **ref)
    everything = changes_of(server.admin)
    revisions = [one.revision for one in everything]
    assert revisions == list(range(1, len(everything) + 1))

    def listed(**wanted: Any) -> list[str]:
        found = changes_of(server.admin, filter=wanted)
        # However they are filtered, they are some of all, in order.
        assert found == [one for one in everything if one in found]
        assert changes_of(server.admin, newest_first=True, filter=wanted) == found[::-1]
        return [_kind(one) for one in found]

    of_agent = ["AGENT_CREATED", "TOKEN_CREATED", "AGENT_UPDATED", "GRANT_CHANGED", "AGENT_DELETED"]
    agent, user = _about("AGENT", agent_id), _about("USER", other.user_id)
    assert listed(subjects=[agent]) == of_agent
    assert listed(subjects=[user]) == ["USER_CREATED", "TOKEN_CREATED", "GRANT_CHANGED"]
    assert listed(subjects=[agent, user, agent]) == ["USER_CREATED", "TOKEN_CREATED", *of_agent]
    grant = _about("GRANT", f"{agent_id}:user:{other.user_id}")
    assert listed(subjects=[grant]) == ["GRANT_CHANGED", "AGENT_DELETED"]
    slug = _about("AGENT_SLUG", made.agent_slug)
    assert listed(subjects=[slug]) == ["AGENT_CREATED", "AGENT_DELETED"]
    assert listed(subjects=[_about("STORE", "")]) == []
    own = ["TOKEN_CREATED", "TOKEN_CREATED", "USER_UPDATED", "AGENT_UPDATED", "AGENT_DELETED"]
    assert listed(actor={"user": {"user_id": owner.user_id}}) == own
    assert listed(actor={"user": {"login": owner.login}}) == own
    assert listed(actor={"user": {"user_id": 999_999}}) == []
    assert listed(actor={"agent_id": agent_id}) == ["AGENT_UPDATED"]
    assert listed(actor={"token_id": second.token.token_id}) == ["USER_UPDATED"]
    assert listed(actor={"user": {"user_id": other.user_id}, "agent_id": agent_id}) == []
    kinds = ["CHANGE_KIND_GRANT_CHANGED", "CHANGE_KIND_AGENT_DELETED"]
    assert listed(kinds=kinds) == ["GRANT_CHANGED", "AGENT_DELETED"]
    assert listed(kinds=kinds[:1], subjects=[agent]) == ["GRANT_CHANGED"]
    assert listed(start_time=middle, end_time=late) == ["AGENT_UPDATED"]
    assert listed(start_time=late) == ["GRANT_CHANGED", "AGENT_DELETED"]
    # The beginning is part of it, the end is not.
    created = everything[-1].create_time
    assert listed(start_time=created)[-1] == "AGENT_DELETED"
    assert listed(end_time=created)[-1] == "GRANT_CHANGED"
    # Whoever has all up to a revision goes on after it.
    for after in (0, 3, len(everything)):
        assert changes_of(server.admin, after_revision=after) == everything[after:]
    after_it = [one for one in changes_of(server.admin, filter=_of(agent_id)) if one.revision > 6]
    assert changes_of(server.admin, filter=_of(agent_id), after_revision=6) == after_it
    # Paged, nothing is lost or doubled.
    for newest in (False, True):
        found = pages(
            server.admin, "ChangeService/ListChanges", "changes", page_size=4, newest_first=newest
        )
        flat = [one for page in found for one in page]
        assert flat == (everything[::-1] if newest else everything)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"actor": {}}, "actor"),
        ({"actor": {"user": {}}}, "actor.user"),
        ({"actor": {"user": {"user_id": -1}}}, "actor.user.user_id"),
        ({"actor": {"user": {"login": ""}}}, "actor.user.login"),
        ({"actor": {"agent_id": -1}}, "actor.agent_id"),
        ({"actor": {"token_id": "x" * 101}}, "actor.token_id"),
        ({"actor": {"token_id": "\0"}}, "actor.token_id"),
        ({"kinds": [0]}, "kinds[0]"),
        ({"kinds": [1, 999]}, "kinds[1]"),
        ({"kinds": [1] * 51}, "kinds"),
        ({"subjects": [{"subject_id": "1"}]}, "subjects[0].kind"),
        ({"subjects": [_about("AGENT", 1), {"kind": 99}]}, "subjects[1].kind"),
        ({"subjects": [_about("AGENT", "")]}, "subjects[0].subject_id"),
        ({"subjects": [_about("AGENT", "billing")]}, "subjects[0].subject_id"),
        ({"subjects": [_about("AGENT", "01")]}, "subjects[0].subject_id"),
        ({"subjects": [_about("AGENT", 2**63)]}, "subjects[0].subject_id"),
        ({"subjects": [_about("USER", "-1")]}, "subjects[0].subject_id"),
        ({"subjects": [_about("SITE", "٣")]}, "subjects[0].subject_id"),
        ({"subjects": [_about("GRANT", "3:14")]}, "subjects[0].subject_id"),
        ({"subjects": [_about("TOKEN", "")]}, "subjects[0].subject_id"),
        ({"subjects": [_about("DEFINITION", "a\0")]}, "subjects[0].subject_id"),
        ({"subjects": [_about("DEFINITION", "a" * 1001)]}, "subjects[0].subject_id"),
        ({"subjects": [_about("STORE", "1")]}, "subjects[0].subject_id"),
        ({"subjects": [_about("AGENT", 1)] * 101}, "subjects"),
        ({"start_time": {"seconds": 2**60}}, "start_time"),
        ({"end_time": {"nanos": -1}}, "end_time"),
        ({"start_time": {"seconds": 5}, "end_time": {"seconds": 5}}, "end_time"),
        ({"start_time": {"seconds": 6}, "end_time": {"seconds": 5}}, "end_time"),
    ],
)
def test_a_filter_that_breaks_a_rule_is_refused_by_its_field(
    server: Server, wanted: dict[str, Any], field: str
) -> None:
    refusal = server.admin.refused("ChangeService/ListChanges", filter=wanted)
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [f"filter.{field}"])


def test_a_revision_is_not_negative(server: Server) -> None:
    refusal = server.admin.refused("ChangeService/ListChanges", after_revision=-1)
    assert refusal.fields == ["after_revision"]


def test_an_actor_whom_nobody_knows_is_told_to_those_who_may_ask(scene: Scene) -> None:
    nobody = {"actor": {"user": {"login": "nobody"}}}
    for person, wanted in (
        (scene.server.admin, nobody),
        (scene.owner, nobody | _of(scene.agent_id)),
    ):
        refusal = person.refused("ChangeService/ListChanges", filter=wanted)
        assert refusal.what == "NOT_FOUND USER_NOT_FOUND"
    known = {"actor": {"user": {"login": scene.owner.login}}}
    answers = {
        scene.member.refused("ChangeService/ListChanges", filter=wanted | about).what
        for wanted in (nobody, known)
        for about in ({}, _of(scene.agent_id))
    }
    assert answers == {"PERMISSION_DENIED ACTION_MISSING", "PERMISSION_DENIED AGENT_ACCESS_DENIED"}


def test_a_page_token_goes_with_its_filter(scene: Scene) -> None:
    admin = scene.server.admin
    wanted: dict[str, Any] = {"filter": _of(scene.agent_id), "page_size": 1}
    token = admin.call("ChangeService/ListChanges", **wanted).next_page_token
    assert admin.call("ChangeService/ListChanges", **wanted, page_token=token).changes
    others: list[dict[str, Any]] = [{"after_revision": 1}, {"newest_first": True}, {"filter": {}}]
    for other in others:
        refusal = admin.refused(
            "ChangeService/ListChanges", **{**wanted, **other, "page_token": token}
        )
        assert refusal.what == "INVALID_ARGUMENT PAGE_TOKEN_INVALID"


def test_a_page_token_outlives_no_login(scene: Scene) -> None:
    server, member = scene.server, scene.server.user()
    for _ in range(2):
        member.call("TokenService/CreateToken", user={"login": member.login}, full_rights=True)
    wanted: dict[str, Any] = {
        "filter": {"actor": {"user": {"login": member.login}}},
        "page_size": 1,
    }
    token = server.admin.call("ChangeService/ListChanges", **wanted).next_page_token
    server.admin.call("UserService/DeleteUser", user={"user_id": member.user_id})
    server.user(login=member.login)
    refusal = server.admin.refused("ChangeService/ListChanges", **wanted, page_token=token)
    assert refusal.what == "INVALID_ARGUMENT PAGE_TOKEN_INVALID"


def test_the_log_of_agents_is_for_their_admins_and_no_other_agents(scene: Scene) -> None:
    server, member, other = scene.server, scene.server.user(), scene.guest
    slugs = [server.name("batch") for _ in range(3)]
    answer = server.admin.call(
        "AgentService/BatchCreateAgents",
        requests=[
            {"agent_slug": slug, "owner": {"user_id": owner.user_id}, "config": {"of": owner.login}}
            for slug, owner in zip(slugs, (member, other, member), strict=True)
        ],
    )
    own, foreign, second = (one.agent for one in answer.results)
    (whole,) = changes_of(server.admin, filter=_of(own.agent_id))
    (change,) = changes_of(member, filter=_of(own.agent_id))

    assert (_kind(change), change.view) == ("BULK", change_pb2.CHANGE_VIEW_PARTIAL)
    told = str(change)
    for secret in (slugs[1], slugs[2], other.login, f'"{foreign.agent_id}"', f":{other.user_id}"):
        assert secret not in told
    assert (change.before_digest, change.after_digest) == (b"", b"")
    assert not change.HasField("after")
    assert (change.hash, change.previous_hash) == (whole.hash, whole.previous_hash)
    assert (slugs[1] in str(whole), whole.view) == (True, change_pb2.CHANGE_VIEW_FULL)
    assert whole.after_digest
    both = {str(own.agent_id), str(second.agent_id)}
    (change,) = changes_of(member, filter=_of(second.agent_id, own.agent_id))
    assert set(_subjects(change, "AGENT")) == both
    assert len(change.subjects) == 2

    member.call("AgentService/UpdateAgent", agent={"agent_id": own.agent_id}, update={"config": {}})
    (_, change) = changes_of(member, filter=_of(own.agent_id))
    assert change.view == change_pb2.CHANGE_VIEW_FULL
    assert change == _newest(server)[0]
    grants = _about("GRANT", f"{own.agent_id}:user:{member.user_id}")
    for wanted in (
        {},
        _of(foreign.agent_id),
        _of(own.agent_id, foreign.agent_id),
        {"subjects": [_about("USER", member.user_id)]},
        {"subjects": [_about("STORE", "")]},
        {"subjects": [*_of(own.agent_id)["subjects"], grants]},
    ):
        refusal = member.refused("ChangeService/ListChanges", filter=wanted)
        assert refusal.code.name == "PERMISSION_DENIED"


def test_the_log_outlives_the_agent_for_who_may_audit(scene: Scene) -> None:
    scene.owner.call("AgentService/DeleteAgent", **scene.agent)
    wanted = _of(scene.agent_id)
    assert [_kind(one) for one in changes_of(scene.server.admin, filter=wanted)][
        -1
    ] == "AGENT_DELETED"
    refusal = scene.owner.refused("ChangeService/ListChanges", filter=wanted)
    assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"


def test_a_change_of_too_many_things_is_about_the_store(own_server: Server) -> None:
    server, member = own_server, own_server.user()
    with server.app.store.write() as tx:
        first = tx.tokens.find(member.token_id)
        assert first is not None
        # With the one there is, one more than a change lists.
        for number in range(subjects.MAX_SUBJECTS):
            one = replace(first, token_id=f"many{number}", version=1)
            tx.tokens.add(one, str(number).encode().ljust(32), "00")
    server.admin.call("TokenService/RevokeUserTokens", user={"user_id": member.user_id})

    store = {"subjects": [_about("STORE", "")]}
    (change,) = changes_of(server.admin, filter=store)
    assert _kind(change) == "TOKEN_REVOKED"
    assert [(one.kind, one.subject_id) for one in change.subjects] == [
        (types_pb2.SUBJECT_KIND_STORE, "")
    ]
    for kind, subject_id in (("USER", member.user_id), ("TOKEN", member.token_id)):
        found = changes_of(server.admin, filter={"subjects": [_about(kind, subject_id)]})
        assert change not in found
    assert change in changes_of(
        server.admin, filter={"subjects": [_about("USER", 1), *store["subjects"]]}
    )


def test_pages_of_large_changes_fit_into_a_reply(own_server: Server) -> None:
    server, owner = own_server, own_server.user()
    ref: dict[str, Any] = {"agent": {"agent_id": server.agent(owner).agent_id}}
    # Small as JSON, large as messages: without a bound, no client would take the one page.
    config = {"numbers": [[1] * 1000 for _ in range(4)]}
    for number in range(60):
        owner.call(
            "AgentService/UpdateAgent", **ref, update={"config": {**config, "number": number}}
        )
    found = pages(server.admin, "ChangeService/ListChanges", "changes", page_size=500)
    revisions = [one.revision for page in found for one in page]
    assert revisions == list(range(1, revisions[-1] + 1))
    sizes = [sum(one.ByteSize() for one in page) for page in found]
    assert max(sizes) < 3 * 1024 * 1024
    assert sum(sizes) > 4 * 1024 * 1024
