"""Agents are created, alone and in batches, changed and deleted."""

from pathlib import Path
from typing import Any

import pytest

from accredit_service.abilities.calls.app import Limits
from tests.api.asking import about_agent, authenticate, check, reason, works
from tests.server import Person, Server, running_server

ACTIVE, INACTIVE, ARCHIVED = (f"AGENT_STATUS_{one}" for one in ("ACTIVE", "INACTIVE", "ARCHIVED"))


def test_a_slug_is_cleaned_and_the_reply_says_what_it_became(own_server: Server) -> None:
    owner = own_server.user()
    made = owner.call("AgentService/CreateAgent", agent_slug="Größe & Co!")
    assert made.created
    assert made.agent.agent_slug == "grose-co"
    assert made.agent.agent_name == "grose-co"
    assert made.agent.owner_id == owner.user_id


@pytest.mark.parametrize(
    "slug",
    [
        pytest.param("", id="empty"),
        pytest.param("!?…", id="empty after cleaning"),
        pytest.param("<b></b>", id="nothing but tags"),
        pytest.param("42", id="would read as an id"),
        pytest.param("4.2", id="a slug, for the dot becomes a hyphen"),
        pytest.param("0", id="zero would read as an id, too"),
        pytest.param("a" * 1001, id="too long to clean"),
    ],
)
def test_what_cleans_to_no_slug_is_refused_wherever_a_slug_is_new(
    server: Server, slug: str
) -> None:
    owner = server.user()
    agent = server.agent(owner)
    create: dict[str, Any] = {"agent_slug": slug, "validate_only": True}
    rename: dict[str, Any] = {
        "agent": {"agent_id": agent.agent_id},
        "new_slug": slug,
        "validate_only": True,
    }

    if slug == "4.2":
        assert owner.call("AgentService/CreateAgent", **create).agent.agent_slug == "4-2"
        return
    created = owner.refused("AgentService/CreateAgent", **create)
    renamed = owner.refused("AgentService/RenameAgent", **rename)

    assert created.what == renamed.what == "INVALID_ARGUMENT INVALID_AGENT_SLUG"
    assert created.fields == ["agent_slug"]
    assert renamed.fields == ["new_slug"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        pytest.param("", None, id="empty: the slug"),
        pytest.param("  \n ", None, id="blank: the slug"),
        pytest.param("<i>Ada</i> <script>", "Ada", id="tags are stripped"),
        pytest.param("two\nlines\tand a tab", "two lines and a tab", id="one line"),
        pytest.param("Ünïcode 🙂", "Ünïcode 🙂", id="letters of any script stay"),
        pytest.param("n" * 200, "n" * 200, id="as long as it may be"),
    ],
)
def test_a_name_is_one_line_without_tags(server: Server, given: str, shown: str | None) -> None:
    slug = server.name("named")
    agent = server.agent(server.admin, slug, agent_name=given)
    assert agent.agent_name == (slug if shown is None else shown)


def test_a_name_that_is_too_long_is_refused(server: Server) -> None:
    refusal = server.user().refused(
        "AgentService/CreateAgent", agent_slug=server.name("a"), agent_name="n" * 201
    )
    assert refusal.what == "INVALID_ARGUMENT FIELD_INVALID"
    assert refusal.fields == ["agent_name"]


def test_a_new_agent_is_active_and_its_owner_has_a_grant_of_admin(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    answer = owner.call("AgentService/GetAgent", agent={"agent_id": agent.agent_id})
    (grant,) = answer.access_grants
    assert agent.status == 1
    assert not agent.HasField("site_scope")
    assert grant.principal.user_id == owner.user_id
    assert grant.role == answer.caller_role == 3
    assert grant.granted_by == server.admin.user_id
    assert not grant.HasField("expire_time")


def test_an_administrator_must_name_an_owner_who_exists_and_is_active(server: Server) -> None:
    gone = server.user()
    server.admin.call("UserService/DeactivateUser", user={"user_id": gone.user_id})

    def refused(**fields: Any) -> str:
        return server.admin.refused("AgentService/CreateAgent", agent_slug="x", **fields).what

    assert refused() == "INVALID_ARGUMENT INVALID_AGENT_OWNER"
    assert refused(owner={"user_id": 2**62}) == "NOT_FOUND AGENT_OWNER_NOT_FOUND"
    assert refused(owner={"user_id": gone.user_id}) == "NOT_FOUND AGENT_OWNER_NOT_FOUND"
    assert refused(owner={"login": "nobody"}) == "NOT_FOUND AGENT_OWNER_NOT_FOUND"
    for nobody in ({"user_id": -1}, {"user_id": 0}, {"login": ""}, {}):
        assert refused(owner=nobody) == "INVALID_ARGUMENT FIELD_INVALID"
    named = server.user()
    made = server.admin.call(
        "AgentService/CreateAgent",
        agent_slug=server.name("by-login"),
        owner={"login": named.login},
    )
    assert made.agent.owner_id == named.user_id


def test_whoever_does_not_manage_agents_becomes_the_owner_and_names_nobody_else(
    server: Server,
) -> None:
    member, other = server.user(), server.user()

    def wish(**owner: Any) -> dict[str, Any]:
        fields = {"agent_slug": server.name("mine")}
        return {**fields, "owner": owner} if owner else fields

    for named in ({}, {"user_id": member.user_id}, {"login": member.login}):
        made = member.call("AgentService/CreateAgent", **wish(**named))
        assert made.agent.owner_id == member.user_id
    # Whoever it is, and whether there is such a user or not.
    others: list[dict[str, Any]] = [
        {"user_id": other.user_id},
        {"login": other.login},
        {"user_id": server.admin.user_id},
        {"user_id": 2**62},
        {"login": "nobody"},
    ]
    words = set()
    for named in others:
        fields = wish(**named)
        single = member.refused("AgentService/CreateAgent", **fields)
        assert single.what == "PERMISSION_DENIED ACTION_MISSING"
        batch = member.call("AgentService/BatchCreateAgents", requests=[fields])
        assert reason(batch.results[0].error) == "ACTION_MISSING"
        words |= {single.message, batch.results[0].error.message}
    assert len(words) == 1


def test_the_checks_of_a_creation_come_in_their_order(strict_server: Server) -> None:
    server = strict_server
    full, free = server.user(), server.user()
    taken = server.agent(full).agent_slug
    reserved = server.agent(free).agent_slug
    free.call("AgentService/DeleteAgent", agent={"agent_slug": reserved})
    newcomer = server.user()
    cases: list[tuple[Person, dict[str, Any], str]] = [
        (server.user("SERVICE"), {"agent_slug": ""}, "ACTION_MISSING"),
        (server.admin, {"agent_slug": ""}, "INVALID_AGENT_SLUG"),
        (full, {"agent_slug": "!"}, "INVALID_AGENT_SLUG"),
        (server.admin, {"agent_slug": taken}, "INVALID_AGENT_OWNER"),
        (server.admin, {"agent_slug": taken, "owner": {"user_id": 999}}, "AGENT_OWNER_NOT_FOUND"),
        (full, {"agent_slug": taken, "owner": {"user_id": 999}}, "ACTION_MISSING"),
        (full, {"agent_slug": taken, "site_scope": 999}, "ACTION_MISSING"),
        (full, {"agent_slug": taken}, "AGENT_LIMIT_REACHED"),
        (
            server.admin,
            {"agent_slug": taken, "owner": {"user_id": full.user_id}, "site_scope": 999},
            "SITE_NOT_FOUND",
        ),
        (newcomer, {"agent_slug": reserved}, "SLUG_RESERVED"),
        (newcomer, {"agent_slug": taken}, "AGENT_SLUG_CONFLICT"),
    ]
    for caller, fields, why in cases:
        assert caller.refused("AgentService/CreateAgent", **fields).reason == why, fields


def test_an_agent_that_is_there_is_no_way_around_the_checks(server: Server) -> None:
    member = server.user()
    slug = server.agent(member).agent_slug
    of_member = {"owner": {"user_id": member.user_id}}
    cases: list[tuple[Person, dict[str, Any], str]] = [
        (server.admin, {}, "INVALID_AGENT_OWNER"),
        (server.admin, {"owner": {"user_id": 999}}, "AGENT_OWNER_NOT_FOUND"),
        (member, {"owner": {"user_id": server.admin.user_id}}, "ACTION_MISSING"),
        (member, {"site_scope": 999}, "ACTION_MISSING"),
        (server.admin, {**of_member, "site_scope": 999}, "SITE_NOT_FOUND"),
    ]
    for caller, fields, why in cases:
        wish = {"agent_slug": slug, "create_if_missing": True, **fields}
        assert caller.refused("AgentService/CreateAgent", **wish).reason == why, fields
    found = member.call("AgentService/CreateAgent", agent_slug=slug, create_if_missing=True)
    assert not found.created


def test_a_member_may_own_as_many_agents_as_the_limit_says(strict_server: Server) -> None:
    member = strict_server.user(login="ada")
    member.call("AgentService/CreateAgent", agent_slug="first", agent_name="The First")

    refusal = member.refused("AgentService/CreateAgent", agent_slug="second")
    assert refusal.what == "RESOURCE_EXHAUSTED AGENT_LIMIT_REACHED"
    assert "The First" in refusal.message
    assert (refusal.metadata["limit"], refusal.metadata["owned"]) == ("1", "1")

    # An administrator may go beyond, and deleting makes room.
    strict_server.agent(member, "second")
    assert member.refused("AgentService/CreateAgent", agent_slug="third").metadata["owned"] == "2"
    for slug in ("first", "second"):
        member.call("AgentService/DeleteAgent", agent={"agent_slug": slug})
    assert member.call("AgentService/CreateAgent", agent_slug="third").created


def test_the_message_says_how_many_where_more_than_one_are_allowed(
    database_url: str, tmp_path: Path
) -> None:
    with running_server(database_url, tmp_path, limits=Limits(agents_per_user=2)) as server:
        member = server.user()
        for slug in ("first", "second"):
            member.call("AgentService/CreateAgent", agent_slug=slug)
        refusal = member.refused("AgentService/CreateAgent", agent_slug="third")
    assert refusal.what == "RESOURCE_EXHAUSTED AGENT_LIMIT_REACHED"
    assert "2 agents" in refusal.message


def test_a_taken_slug_is_a_conflict_unless_it_is_asked_for_if_missing(server: Server) -> None:
    owner, viewer, stranger = server.user(), server.user(), server.user()
    agent = server.agent(owner, agent_name="Kept", config={"k": "v"})
    server.grant(agent.agent_id, viewer)
    wish = {"agent_slug": agent.agent_slug, "agent_name": "Other", "config": {"k": "w"}}

    refusal = owner.refused("AgentService/CreateAgent", **wish)
    assert refusal.what == "ALREADY_EXISTS AGENT_SLUG_CONFLICT"

    # Whoever owns it, and even if an administrator names another owner.
    other = {"owner": {"user_id": server.admin.user_id}}
    calls: list[tuple[Person, dict[str, Any]]] = [
        (owner, {}),
        (viewer, {}),
        (server.admin, other),
    ]
    for caller, named in calls:
        found = caller.call("AgentService/CreateAgent", **wish, **named, create_if_missing=True)
        assert not found.created
        assert found.agent == agent

    # Who may not view it is told what anybody is told of a taken slug, and no more.
    hidden = stranger.refused("AgentService/CreateAgent", **wish, create_if_missing=True)
    assert hidden.what == "ALREADY_EXISTS AGENT_SLUG_CONFLICT"


def test_an_agent_is_made_if_it_is_missing(server: Server) -> None:
    member = server.user()
    slug = server.name("missing")
    first, again = (
        member.call("AgentService/CreateAgent", agent_slug=slug, create_if_missing=True)
        for _ in range(2)
    )
    assert (first.created, again.created) == (True, False)
    assert first.agent == again.agent


def _nested(levels: int) -> dict[str, Any]:
    return {} if levels == 1 else {"in": _nested(levels - 1)}


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({}, id="empty"),
        pytest.param({"a": {}, "b": [], "c": None, "d": [[{}], True, "x"]}, id="every kind"),
        pytest.param({"n": 2**53 - 1, "m": -(2**53) + 1, "x": 1.5}, id="exact numbers"),
        pytest.param({"": "", "nul": "\0", "🙂": "\ud7ff"}, id="odd texts"),
        pytest.param(_nested(24), id="24 levels"),
        pytest.param({"big": "x" * 65_000}, id="nearly 64 KiB"),
    ],
)
def test_a_config_is_stored_as_it_is(server: Server, config: dict[str, Any]) -> None:
    agent = server.agent(server.admin, config=config)
    read = server.admin.call("AgentService/GetAgent", agent={"agent_id": agent.agent_id})
    request = server.request_of("AgentService/CreateAgent")(config=config)
    assert agent.config == read.agent.config == request.config
    # The log wraps it once more; what it answers must still be readable.
    logged = server.admin.call("ChangeService/ListChanges", **about_agent(agent.agent_id))
    assert logged.changes[0].after["config"] == request.config


def test_the_deepest_config_of_a_batch_can_be_read_in_the_log(server: Server) -> None:
    owner = {"user_id": server.admin.user_id}
    wanted = [{"agent_slug": server.name("deep"), "config": _nested(24), "owner": owner}]
    made = server.admin.call("AgentService/BatchCreateAgents", requests=wanted)
    agent_id = made.results[0].agent.agent_id
    logged = server.admin.call("ChangeService/ListChanges", **about_agent(agent_id)).changes[0]
    kept = server.admin.call("AgentService/GetAgent", agent={"agent_id": agent_id}).agent
    assert logged.after["agents"][0]["config"] == kept.config
    # The reply leaves it out: a hundred of the largest are more than one holds.
    assert not made.results[0].agent.HasField("config")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        pytest.param({"n": 2.0**53}, "FIELD_INVALID", id="a number that may not be exact"),
        pytest.param({"n": [-(2.0**60)]}, "FIELD_INVALID", id="one inside of a list"),
        pytest.param({"n": float("nan")}, "FIELD_INVALID", id="not a number"),
        pytest.param({"n": float("inf")}, "FIELD_INVALID", id="not finite"),
        pytest.param({"big": "x" * 66_000}, "FIELD_INVALID", id="more than 64 KiB"),
        pytest.param({"many": list(range(40_000))}, "FIELD_INVALID", id="more in small pieces"),
    ],
)
def test_a_config_beyond_its_bounds_is_refused(
    server: Server, config: dict[str, Any], reason: str
) -> None:
    owner = server.user()
    agent = server.agent(owner)
    created = owner.refused("AgentService/CreateAgent", agent_slug=server.name("c"), config=config)
    updated = owner.refused(
        "AgentService/UpdateAgent", agent={"agent_id": agent.agent_id}, update={"config": config}
    )
    assert created.what == updated.what == f"INVALID_ARGUMENT {reason}"
    assert created.fields == ["config"]
    assert updated.fields == ["update.config"]


def test_name_config_and_status_are_changed_and_the_rest_stays(server: Server) -> None:
    owner = server.user()
    site = server.site()
    before = server.agent(owner, config={"a": 1, "b": 2}, site_scope=site)

    def update(**values: Any) -> Any:
        return owner.call(
            "AgentService/UpdateAgent", agent={"agent_id": before.agent_id}, update=values
        ).agent

    after = update(agent_name="New", config={"b": 3})
    assert after.agent_name == "New"
    # The whole document is replaced: nothing is merged.
    assert dict(after.config) == {"b": 3}
    assert (after.status, after.site_scope) == (before.status, before.site_scope)
    assert after.etag != before.etag
    assert after.update_time.ToDatetime() > before.update_time.ToDatetime()
    assert after.create_time == before.create_time
    assert update(config={}).config == server.agent(owner).config
    assert (update(status=ARCHIVED).status, update(status=INACTIVE).status) == (3, 2)


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        pytest.param({}, "INVALID_AGENT_UPDATE", id="nothing"),
        pytest.param({"agent_name": ""}, "INVALID_AGENT_NAME", id="an empty name"),
        pytest.param({"agent_name": " \t"}, "INVALID_AGENT_NAME", id="a blank name"),
        pytest.param({"agent_name": "<b></b>"}, "INVALID_AGENT_NAME", id="a name of tags"),
        pytest.param({"status": 9}, "FIELD_INVALID", id="no such status"),
        pytest.param({"site_scope": -1}, "FIELD_INVALID", id="a negative site"),
    ],
)
def test_an_update_that_says_nothing_or_nonsense_is_refused(
    server: Server, update: dict[str, Any], reason: str
) -> None:
    agent = server.agent(server.admin)
    refusal = server.admin.refused(
        "AgentService/UpdateAgent", agent={"agent_id": agent.agent_id}, update=update
    )
    assert refusal.what == f"INVALID_ARGUMENT {reason}"


def test_a_site_that_is_named_must_exist_and_needs_manage_agents(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    site = server.site()
    ref = {"agent_id": agent.agent_id}

    def scoped(site_id: int) -> dict[str, Any]:
        return {"agent": ref, "update": {"site_scope": site_id}}

    own = owner.refused("AgentService/UpdateAgent", **scoped(site))
    assert own.what == "PERMISSION_DENIED ACTION_MISSING"
    unknown = server.admin.refused("AgentService/UpdateAgent", **scoped(2**62))
    assert unknown.what == "NOT_FOUND SITE_NOT_FOUND"
    placed = server.admin.call("AgentService/UpdateAgent", **scoped(site)).agent
    assert placed.site_scope == site
    # An owner's update of something else leaves the site alone: it never asks for it.
    kept = owner.call("AgentService/UpdateAgent", agent=ref, update={"agent_name": "N"}).agent
    assert kept.site_scope == site
    freed = server.admin.call("AgentService/UpdateAgent", **scoped(0)).agent
    assert not freed.HasField("site_scope")


def test_a_status_other_than_active_stops_an_agents_tokens_and_active_restores_just_those(
    server: Server,
) -> None:
    owner = server.user()
    agent = server.agent(owner)
    ref = {"agent_id": agent.agent_id}
    live, revoked, revoked_meanwhile, expiring = (
        server.agent_token(owner, agent.agent_id, **more)
        for more in ({}, {}, {}, {"ttl": {"seconds": 60}})
    )
    owner.call("TokenService/RevokeToken", token_id=revoked.token_id)

    for status in (INACTIVE, ARCHIVED):
        owner.call("AgentService/UpdateAgent", agent=ref, update={"status": status})
        assert authenticate(server, live.token) == "AGENT_INACTIVE"
        refusal = live.refused("AuthService/WhoAmI")
        assert refusal.what == "PERMISSION_DENIED AGENT_INACTIVE"
    owner.call("TokenService/RevokeToken", token_id=revoked_meanwhile.token_id)
    server.clock.advance(seconds=60)
    owner.call("AgentService/UpdateAgent", agent=ref, update={"status": ACTIVE})

    tokens = (live, revoked, revoked_meanwhile, expiring)
    assert [works(one) for one in tokens] == [True, False, False, False]
    # Rows and grants were there all the time: the owner read and wrote.
    assert check(server, owner, agent.agent_id, "ADMIN") == "ALLOWED"


def test_deleting_takes_grants_and_tokens_along(server: Server) -> None:
    owner, viewer = server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, viewer)
    token = server.agent_token(owner, agent.agent_id)

    answer = owner.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})

    assert answer.agent == agent
    assert (answer.grants_deleted, answer.tokens_deleted) == (2, 1)
    assert authenticate(server, token.token) == "TOKEN_INVALID"
    assert check(server, viewer, agent.agent_id) == "ROLE_INSUFFICIENT"
    unknown = server.admin.refused("AgentService/GetAgent", agent={"agent_id": agent.agent_id})
    assert unknown.what == "NOT_FOUND AGENT_NOT_FOUND"


def test_an_agent_made_anew_under_a_deleted_ones_slug_inherits_nothing(server: Server) -> None:
    owner, viewer = server.user(), server.user()
    old = server.agent(owner)
    server.grant(old.agent_id, viewer)
    token = server.agent_token(owner, old.agent_id)
    owner.call("AgentService/DeleteAgent", agent={"agent_id": old.agent_id})

    new = server.agent(owner, old.agent_slug)

    assert new.agent_id > old.agent_id
    assert authenticate(server, token.token) == "TOKEN_INVALID"
    assert check(server, viewer, new.agent_id) == "ROLE_INSUFFICIENT"


def test_only_the_owner_or_who_manages_agents_deletes_and_transfers(server: Server) -> None:
    owner, grantee = server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, grantee, "ADMIN")
    ref = {"agent_id": agent.agent_id}

    deletion = grantee.refused("AgentService/DeleteAgent", agent=ref)
    transfer = grantee.refused(
        "AgentService/TransferAgent", agent=ref, new_owner={"user_id": grantee.user_id}
    )

    assert deletion.what == transfer.what == "PERMISSION_DENIED OWNER_REQUIRED"
