"""What all calls have in common: request ids, trials, etags, pages, masks, freshness."""

import base64
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.asking import add_agents
from tests.api.scene import (
    METHODS,
    REQUESTS,
    Scene,
    contents,
    methods_with,
    mutates,
    write_file,
)
from tests.server import Person, RefusedError, Server

#: Reconciling again creates nothing, so that nothing needs to tell one attempt from another.
MUTATING = [
    method for method in METHODS if mutates(method) and method != "RegistryService/ReconcileAgents"
]
READING = methods_with("consistency")
#: What a scene's request makes, so that there is nothing yet to have an etag.
REGISTERING = ["RegistryService/RegisterAgent", "RegistryService/RegisterMemoryFileType"]
SECRETS = ["TokenService/CreateToken", "TokenService/RotateToken"]


@pytest.fixture
def scene(server: Server) -> Scene:
    return Scene.make(server)


def _fields(scene: Scene, method: str) -> dict[str, Any]:
    return REQUESTS[method](scene, scene.administrator)


def _without_token(answer: Any) -> Any:
    copy = type(answer)()
    copy.CopyFrom(answer)
    copy.consistency_token = ""
    return copy


def test_every_call_that_changes_something_takes_a_request_id_and_tells_the_new_state() -> None:
    assert set(MUTATING) == set(methods_with("request_id"))
    for method in (*MUTATING, "RegistryService/ReconcileAgents"):
        assert "consistency_token" in METHODS[method].output_type.fields_by_name, method


def test_every_call_that_reads_says_how_fresh_it_has_to_be() -> None:
    # WhoAmI's question is the credential, and VerifyChanges looks at all there is.
    exempt = {"AuthService/WhoAmI", "ChangeService/VerifyChanges"}
    assert set(READING) == {one for one in METHODS if not mutates(one)} - exempt


@pytest.mark.parametrize("method", MUTATING)
def test_a_repeated_request_id_has_no_second_effect(scene: Scene, method: str) -> None:
    admin = scene.administrator
    fields = {**_fields(scene, method), "request_id": str(uuid.uuid4())}
    first = admin.call(method, **fields)
    stored = contents(scene.server)

    if method in SECRETS:
        again = admin.refused(method, **fields)
        assert again.what == "ABORTED SECRET_ALREADY_SHOWN"
        assert again.metadata == {"token_id": first.token.token_id}
        assert first.secret not in again.message
    else:
        repeated = admin.call(method, **fields)
        assert _without_token(repeated) == _without_token(first)
        assert repeated.consistency_token == first.consistency_token
    assert contents(scene.server) == stored


@pytest.mark.parametrize("method", MUTATING)
def test_a_request_id_that_was_used_for_another_request_is_refused(
    scene: Scene, method: str
) -> None:
    admin, id_ = scene.administrator, str(uuid.uuid4())
    admin.call(method, **_fields(scene, method), request_id=id_)
    other = _fields(Scene.make(scene.server), method)
    stored = contents(scene.server)
    refusal = admin.refused(method, **other, request_id=id_)
    assert refusal.what == "INVALID_ARGUMENT REQUEST_ID_REUSED"
    assert refusal.fields == ["request_id"]
    assert contents(scene.server) == stored


def test_a_request_id_is_the_callers_and_the_calls_and_lasts(scene: Scene) -> None:
    id_ = str(uuid.uuid4())
    mine, yours = scene.member, scene.owner
    slug = scene.server.name("mine")
    for caller in (mine, yours):
        made = caller.call(
            "AgentService/CreateAgent", agent_slug=f"{slug}-{caller.user_id}", request_id=id_
        )
        assert made.created
    assert mine.call("AgentService/ProvisionAgent", request_id=id_).agent.agent_slug.startswith(
        slug
    )
    scene.server.clock.advance(hours=23)
    again = mine.call(
        "AgentService/CreateAgent", agent_slug=f"{slug}-{mine.user_id}", request_id=id_
    )
    assert again.created


def test_a_call_that_was_refused_may_be_made_again_under_its_id(scene: Scene) -> None:
    id_, slug = str(uuid.uuid4()), scene.server.name("later")
    taken = scene.server.agent(scene.owner, slug)
    owner = {"user_id": scene.owner.user_id}
    wish: dict[str, Any] = {"agent_slug": slug, "owner": owner, "request_id": id_}
    refusal = scene.administrator.refused("AgentService/CreateAgent", **wish)
    assert refusal.what == "ALREADY_EXISTS AGENT_SLUG_CONFLICT"
    scene.owner.call("AgentService/DeleteAgent", agent={"agent_id": taken.agent_id})
    assert scene.administrator.call("AgentService/CreateAgent", **wish).created


@pytest.mark.parametrize(
    "request_id",
    [
        "x",
        "123",
        "{123e4567-e89b-12d3-a456-426614174000}",
        "123e4567e89b12d3a456426614174000",
        "\0",
    ],
)
def test_a_request_id_is_a_uuid(server: Server, request_id: str) -> None:
    refusal = server.admin.refused(
        "SiteService/CreateSite", site_slug=server.name("s"), request_id=request_id
    )
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", ["request_id"])


@pytest.mark.parametrize(
    "method", [one for one in methods_with("validate_only") if one in MUTATING]
)
def test_a_trial_is_answered_as_if_and_changes_nothing(scene: Scene, method: str) -> None:
    fields, id_ = _fields(scene, method), str(uuid.uuid4())
    stored = contents(scene.server)

    tried = scene.administrator.call(method, **fields, validate_only=True, request_id=id_)

    assert contents(scene.server) == stored
    assert tried.consistency_token == ""
    # It did not use up its request id, and what it said comes true.
    done = scene.administrator.call(method, **fields, request_id=id_)
    assert _shape(tried) == _shape(done)
    assert contents(scene.server) != stored


def _shape(answer: Any) -> list[tuple[str, Any]]:
    """What an answer says, without what differs from one moment to the next."""
    moving = {"agent_id", "user_id", "site_id", "create_time", "update_time", "consistency_token"}
    # They have the moment in them.
    moving |= {"kept_path", "etag", "grant_time"}

    def parts(message: Any, path: str) -> Iterator[tuple[str, Any]]:
        for field, value in message.ListFields():
            if field.name in moving:
                continue
            place = f"{path}.{field.name}"
            if field.message_type is None:
                yield place, value
            elif field.is_repeated:
                for number, one in enumerate(value):
                    yield from parts(one, f"{place}[{number}]")
            else:
                yield from parts(value, place)

    return list(parts(answer, ""))


def test_a_trial_gives_no_ids_away(scene: Scene) -> None:
    def tried(method: str) -> Any:
        return scene.administrator.call(method, **_fields(scene, method), validate_only=True)

    assert tried("AgentService/CreateAgent").agent.agent_id == 0
    assert tried("AgentService/BatchCreateAgents").results[0].agent.agent_id == 0
    assert tried("UserService/CreateUser").user.user_id == 0
    assert tried("SiteService/CreateSite").site.site_id == 0


@pytest.mark.parametrize("method", methods_with("etag"))
def test_an_etag_that_is_not_the_present_one_is_refused(scene: Scene, method: str) -> None:
    fields = _fields(scene, method)
    if method in REGISTERING:
        scene.administrator.call(method, **fields)
    stored = contents(scene.server)
    for stale in ('"999"', "1", '""', 'W/"1"', "x"):
        refusal = scene.administrator.refused(method, **fields, etag=stale)
        assert refusal.what == "ABORTED ETAG_MISMATCH"
    assert contents(scene.server) == stored
    assert scene.administrator.call(method, **fields, etag=refusal.metadata["etag"])


def test_of_two_who_saw_the_same_state_one_changes_it(scene: Scene) -> None:
    agent = scene.owner.call("AgentService/GetAgent", **scene.agent).agent
    change: dict[str, Any] = {**scene.agent, "etag": agent.etag}
    scene.owner.call("AgentService/UpdateAgent", **change, update={"agent_name": "One"})
    late = scene.grantee.refused(
        "AgentService/UpdateAgent", **change, update={"agent_name": "Other"}
    )
    assert late.what == "ABORTED ETAG_MISMATCH"
    missing = scene.owner.refused(
        "AccessService/GrantAccess",
        **scene.agent,
        principal={"user_id": scene.member.user_id},
        role="ROLE_VIEWER",
        etag='"1"',
    )
    assert missing.what == "ABORTED ETAG_MISMATCH"


#: Lists, and a filter of each that differs from what a scene's request has.
LISTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "AgentService/ListAgents": ({"scope": "LIST_SCOPE_ALL"}, {"text": "a"}),
    "AccessService/ListAgentAccess": ({}, {}),
    "AccessService/ListUserAccess": ({}, {"minimum_role": "ROLE_VIEWER"}),
    "TokenService/ListTokens": ({}, {"show_inactive": True}),
    "UserService/ListUsers": ({}, {"text": "e"}),
    "SiteService/ListSites": ({}, {}),
    "ChangeService/ListChanges": ({}, {"newest_first": True}),
    "DirectoryService/ListFiles": ({}, {"folder": "daily"}),
    "RegistryService/ListAgentDefinitions": ({}, {}),
    "AgentService/BatchGetAgents": ({}, {}),
    "AgentService/ListTransferOffers": ({}, {"direction": "OFFER_DIRECTION_MADE"}),
    "DirectoryService/ListDailyMemory": ({}, {}),
    "RegistryService/ListMemoryFileTypes": ({}, {}),
}


def _list(scene: Scene, method: str) -> dict[str, Any]:
    """A request of which there is more than one page."""
    server, heir = scene.server, scene.heir
    server.site()
    server.agent_token(scene.owner, scene.agent_id)
    other = server.agent(scene.owner).agent_id
    server.grant(other, heir)
    for _ in range(2):
        server.admin.call("RegistryService/RegisterAgent", agent_slug=server.name("declared"))
    for month in ("01", "02"):
        write_file(scene, f"daily/2026/{month}/28.md")
    query = {**_fields(scene, method), **LISTS[method][0], "page_size": 1}
    if method == "AgentService/BatchGetAgents":
        query["agents"] = [{"agent_id": scene.agent_id}, {"agent_id": other}]
    if method == "AgentService/ListTransferOffers":
        for agent_id in (scene.agent_id, other):
            scene.owner.call(
                "AgentService/TransferAgent",
                agent={"agent_id": agent_id},
                new_owner=heir.ref["user"],
            )
        query["user"] = heir.ref["user"]
    return query


def test_every_list_is_here() -> None:
    assert set(LISTS) | {"ChangeService/VerifyChanges"} == set(methods_with("page_token"))
    for method in LISTS:
        assert "page_size" in METHODS[method].input_type.fields_by_name


@pytest.mark.parametrize("method", LISTS)
def test_a_page_token_goes_on_with_its_own_list_and_no_other(scene: Scene, method: str) -> None:
    admin = scene.administrator
    query = _list(scene, method)
    first = admin.call(method, **query)
    token = first.next_page_token
    assert token
    # The size may change, and how fresh the next page has to be.
    following = {**query, "page_size": 2, "page_token": token}
    assert admin.call(method, **following, consistency={"fully_consistent": True}) != first

    def refused(caller: Person = admin, **more: Any) -> tuple[str, list[str]]:
        refusal = caller.refused(method, **{**query, "page_token": token, **more})
        return refusal.what, list(refusal.fields)

    expected = ("INVALID_ARGUMENT PAGE_TOKEN_INVALID", ["page_token"])
    for altered in _altered(token):
        assert refused(page_token=altered) == expected, altered
    if other_filter := LISTS[method][1]:
        assert refused(**other_filter) == expected
    assert refused(caller=scene.server.admin) == expected
    for elsewhere in LISTS:
        if elsewhere != method:
            stray = admin.refused(elsewhere, **{**_list(scene, elsewhere), "page_token": token})
            assert (stray.what, list(stray.fields)) == expected, elsewhere


def _altered(token: str) -> Iterator[str]:
    """The token cut, lengthened, spelt otherwise and with each of its characters exchanged."""
    yield from (
        token[:-1],
        token[1:],
        token + "A",
        f"{token}=",
        f" {token}",
        token + "\n",
        "x",
        "ü",
    )
    yield "A" * 10_000
    for place in range(0, len(token), 7):
        yield token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
    # The last character may have bits that no byte needs.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    yield from (token[:-1] + one for one in alphabet if one != token[-1])


def test_a_token_of_another_store_does_not_fit(own_server: Server) -> None:
    admin = own_server.admin
    consistency = [
        admin.call("SiteService/CreateSite", site_slug=slug).consistency_token for slug in "abc"
    ]
    token = admin.call("SiteService/ListSites", page_size=1).next_page_token
    # A store that was restored from a copy is another one.
    with own_server.app.store.write() as tx:
        tx.renew_epoch()
    for method in ("SiteService/ListSites", "ChangeService/VerifyChanges"):
        assert admin.refused(method, page_token=token).reason == "PAGE_TOKEN_INVALID"
    stale = admin.refused(
        "SiteService/ListSites", consistency={"at_least_as_fresh": consistency[0]}
    )
    assert stale.reason == "CONSISTENCY_TOKEN_INVALID"


@pytest.mark.parametrize("method", LISTS)
def test_a_page_has_a_size_within_bounds(scene: Scene, method: str) -> None:
    query = _list(scene, method)
    refusal = scene.administrator.refused(method, **{**query, "page_size": -1})
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", ["page_size"])
    for size in (0, 501, 2**31 - 1):
        assert scene.administrator.call(method, **{**query, "page_size": size})


def test_a_page_holds_fifty_unless_asked_and_five_hundred_at_most(own_server: Server) -> None:
    owner = own_server.admin
    add_agents(own_server, owner, 501)
    for size, held in ((0, 50), (50, 50), (500, 500), (501, 500), (2**31 - 1, 500)):
        page = owner.call("AgentService/ListAgents", page_size=size)
        assert len(page.agents) == held
        assert page.next_page_token


MASKS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "AgentService/UpdateAgent": (
        {"agent_name": "N", "config": {"k": "v"}, "status": "AGENT_STATUS_ACTIVE"},
        ["agent_slug", "owner_id", "config.k", "etag", "", "agentName", "*,", "name", "update"],
    ),
    "UserService/UpdateUser": (
        {
            "login": "new-login",
            "kind": "USER_KIND_HUMAN",
            "role": "USER_ROLE_MEMBER",
            "display_name": "N",
            "email": "n@example.org",
            "active": True,
        },
        ["user_id", "actions", "etag", "", "displayName", "*,"],
    ),
}


@pytest.mark.parametrize("method", MASKS)
def test_a_path_that_an_update_may_not_have_is_refused(scene: Scene, method: str) -> None:
    assert set(MASKS) == set(methods_with("update_mask"))
    update, unknown = MASKS[method]
    fields = _fields(scene, method)
    beside = ["*", "agent_name"], [next(iter(update)), "x"]
    # A mask without a path is none: it would change nothing, or everything.
    for paths in (*([path] for path in unknown), *beside, []):
        refusal = scene.administrator.refused(
            method, **{**fields, "update": update, "update_mask": {"paths": paths}}
        )
        assert refusal.what == "INVALID_ARGUMENT FIELD_INVALID", paths
        assert refusal.fields == ["update_mask"], paths


@pytest.mark.parametrize("method", MASKS)
def test_only_the_fields_that_a_mask_names_are_changed(scene: Scene, method: str) -> None:
    update = {**MASKS[method][0]}
    if "login" in update:
        update["login"] = scene.server.name("login")
    kind = "user" if "login" in update else "agent"
    reading = {"user": "UserService/GetUser", "agent": "AgentService/GetAgent"}[kind]
    fields = {key: value for key, value in _fields(scene, method).items() if key != "update"}
    constant = {"etag", "update_time", "actions"}

    def state() -> dict[str, Any]:
        thing = getattr(scene.administrator.call(reading, **fields), kind)
        names = thing.DESCRIPTOR.fields_by_name
        return {name: getattr(thing, name) for name in names if name not in constant}

    for path in update:
        before = state()
        scene.administrator.call(
            method, **fields, update=update, update_mask={"paths": [path, path]}
        )
        after = state()
        changed = {name for name in before if before[name] != after[name]}
        assert changed <= {path}, path
    wished = scene.server.request_of(method)(update=update).update
    assert all(state()[name] == getattr(wished, name) for name in update)


def test_a_star_replaces_all_and_clears_what_can_be_cleared(scene: Scene) -> None:
    admin = scene.administrator
    star: dict[str, Any] = {"update_mask": {"paths": ["*"]}}
    admin.call(
        "AgentService/UpdateAgent",
        **scene.agent,
        update={"config": {"k": "v"}, "site_scope": scene.site},
    )
    missing = admin.refused(
        "AgentService/UpdateAgent", **scene.agent, update={"agent_name": "N"}, **star
    )
    assert missing.fields == ["update.status"]
    agent = admin.call(
        "AgentService/UpdateAgent",
        **scene.agent,
        update={"agent_name": "N", "status": "AGENT_STATUS_INACTIVE"},
        **star,
    ).agent
    assert (agent.agent_name, agent.status, len(agent.config.fields)) == ("N", 2, 0)
    assert not agent.HasField("site_scope")

    heir: dict[str, Any] = {"user": {"user_id": scene.heir.user_id}}
    everything = {**MASKS["UserService/UpdateUser"][0], "login": scene.server.name("login")}
    del everything["email"]
    user = admin.call("UserService/UpdateUser", **heir, update=everything, **star).user
    assert (user.login, user.email) == (everything["login"], "")
    del everything["active"]
    missing = admin.refused("UserService/UpdateUser", **heir, update=everything, **star)
    assert missing.fields == ["update.active"]


@pytest.mark.parametrize("method", READING)
def test_every_read_takes_a_token_of_this_store_and_no_other(scene: Scene, method: str) -> None:
    fields = _fields(scene, method)
    fresh = scene.administrator.call(
        "SiteService/CreateSite", site_slug=scene.server.name("fresh")
    ).consistency_token

    def read(consistency: dict[str, Any]) -> Any:
        return scene.administrator.call(method, **fields, consistency=consistency)

    read({"at_least_as_fresh": fresh})
    read({"minimize_latency": True})
    read({"fully_consistent": True})
    read({})
    for wrong in ("x", f"{fresh}A", fresh[:-1], "", "ü", "A" * 10_000, *_elsewhere(fresh)):
        with pytest.raises(RefusedError) as caught:
            read({"at_least_as_fresh": wrong})
        assert caught.value.what == "INVALID_ARGUMENT CONSISTENCY_TOKEN_INVALID"
        assert caught.value.fields == ["consistency.at_least_as_fresh"]
    for unset in ("minimize_latency", "fully_consistent"):
        with pytest.raises(RefusedError) as caught:
            read({unset: False})
        assert caught.value.what == "INVALID_ARGUMENT FIELD_INVALID"
        assert caught.value.fields == [f"consistency.{unset}"]


def _elsewhere(token: str) -> Iterator[str]:
    """A token of another store, of a revision that is still to come, and of another history."""
    store, revision, prefix = _parts(token)
    yield _token(bytes([store[0] ^ 1]) + store[1:], revision, prefix)
    yield _token(store, revision + 1, prefix)
    yield _token(store, 2**64 - 1, prefix)
    yield _token(store, revision, bytes([prefix[0] ^ 1]) + prefix[1:])
    yield _token(store, revision, b"")
    yield _token(store, revision, prefix[:-1])
    yield _token(store, revision, prefix + b"\0")


def _parts(token: str) -> tuple[bytes, int, bytes]:
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    return raw[:16], int.from_bytes(raw[16:24], "big"), raw[24:]


def _token(store: bytes, revision: int, prefix: bytes) -> str:
    raw = store + revision.to_bytes(8, "big") + prefix
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
