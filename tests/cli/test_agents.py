import csv
import io
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.cli.conftest import Cli
from tests.server import Person, Server


def test_an_agent_is_created_with_its_slug_cleaned_and_its_caller_as_owner(cli: Cli) -> None:
    made = cli.done("agents", "create", "My Agent!", "--name", "Mine").record
    assert made["agent_slug"] == "my-agent"
    assert made["agent_name"] == "Mine"
    assert made["owner_id"] == "1"
    assert made["created"] == "true"


def test_a_member_who_creates_an_agent_owns_it(cli: Cli, ada: Person) -> None:
    made = cli.acting_as(ada).json("agents", "create", "hers")
    assert made["agent"]["ownerId"] == str(ada.user_id)


@pytest.mark.parametrize("owner", ["ada", "ada@example.org", "2"])
def test_an_owner_is_named_by_login_email_or_id(cli: Cli, ada: Person, owner: str) -> None:
    assert ada.user_id == 2
    assert cli.json("agents", "create", "hers", "--owner", owner)["agent"]["ownerId"] == "2"


def test_create_if_missing_returns_the_one_that_is_there(cli: Cli) -> None:
    cli.done("agents", "create", "billing")
    again = cli.json("agents", "create", "billing", "--if-missing")
    assert again["created"] is False
    assert again["agent"]["agentId"] == "1"


def test_a_dry_run_creates_nothing(cli: Cli) -> None:
    would = cli.json("agents", "create", "billing", "--validate-only")
    assert would["agent"]["agentSlug"] == "billing"
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "billing")


def test_only_administrators_name_somebody_else_as_owner(cli: Cli, ada: Person) -> None:
    member = cli.acting_as(ada)
    member.fails(3, "ACTION_MISSING", "agents", "create", "hers", "--owner", "admin")
    assert member.json("agents", "create", "hers", "--owner", "ada")["agent"]["ownerId"] == "2"


def test_a_config_is_given_as_json_as_a_file_or_on_standard_input(cli: Cli, tmp_path: Path) -> None:
    text = '{"description": "pays", "limits": [1, 2.5, null]}'
    file = tmp_path / "config.json"
    file.write_text(text)
    cli.done("agents", "create", "one", "--config", text)
    cli.done("agents", "create", "two", "--config", f"@{file}")
    cli.done("agents", "create", "three", "--config", "@-", input=text)
    for slug in ("one", "two", "three"):
        config = cli.json("agents", "get", slug)["agent"]["config"]
        assert config == json.loads(text)
        # 1 == 1.0, but a reader of the JSON would see the difference.
        assert [type(each) for each in config["limits"]] == [int, float, type(None)]


def test_a_list_is_the_same_in_every_format(cli: Cli) -> None:
    cli.done("agents", "create", "one", "--config", '{"description": "first"}')
    cli.done("agents", "create", "two")
    header = "agent_id agent_slug agent_name owner_id status site_scope is_owner description"
    table = cli.done("agents", "list").out.splitlines()
    assert table[0].split() == header.upper().split()
    assert table[1].split() == ["1", "one", "one", "1", "active", "true", "first"]
    rows = list(csv.DictReader(io.StringIO(cli.done("agents", "list", "--format", "csv").out)))
    assert list(rows[0]) == header.split()
    assert [row["agent_slug"] for row in rows] == ["one", "two"]
    assert rows[0]["site_scope"] == ""
    as_json = cli.json("agents", "list")
    assert as_json[0] == {
        "agentId": "1",
        "agentSlug": "one",
        "agentName": "one",
        "ownerId": "1",
        "status": "AGENT_STATUS_ACTIVE",
        "description": "first",
        "isOwner": True,
    }
    as_yaml = YAML(typ="safe").load(cli.done("agents", "list", "--format", "yaml").out)
    assert as_yaml == as_json


@pytest.mark.parametrize(("format", "empty"), [("json", "[]\n"), ("yaml", "[]\n")])
def test_an_empty_list_is_one_too(cli: Cli, format: str, empty: str) -> None:
    assert cli.done("agents", "list", "--format", format).out == empty


def test_an_empty_list_still_has_its_header(cli: Cli) -> None:
    assert cli.done("agents", "list").out.startswith("AGENT_ID")
    assert cli.done("agents", "list", "--format", "csv").out.startswith("agent_id,")


def test_one_agent_is_the_same_in_every_format(cli: Cli) -> None:
    cli.done("agents", "create", "one", "--config", '{"a": "b"}')
    record = cli.done("agents", "get", "one").record
    assert record["agent_slug"] == "one"
    assert record["config"] == '{"a":"b"}'
    assert record["caller_role"] == "admin"
    [row] = csv.DictReader(io.StringIO(cli.done("agents", "get", "one", "--format", "csv").out))
    assert row == record
    as_json = cli.json("agents", "get", "one")
    assert as_json["agent"]["agentId"] == "1"
    assert as_json["accessGrants"][0]["role"] == "ROLE_ADMIN"
    assert YAML(typ="safe").load(cli.done("agents", "get", "1", "--format", "yaml").out) == as_json


def test_lists_are_filtered(cli: Cli, server: Server, ada: Person) -> None:
    site = server.admin.call("SiteService/CreateSite", site_slug="north").site
    server.agent(ada, "hers")
    server.agent(server.admin, "asleep")
    server.agent(server.admin, "northern", site_scope=site.site_id)
    cli.done("agents", "update", "asleep", "--status", "inactive")
    cli.done("sites", "create", "south")

    def slugs(*words: str) -> list[str]:
        return [agent["agentSlug"] for agent in cli.json("agents", "list", *words)]

    assert slugs() == ["northern"]
    assert slugs("--user", "ada") == ["hers"]
    assert slugs("--scope", "all") == ["hers", "northern"]
    assert slugs("--scope", "all", "--status", "any") == ["hers", "asleep", "northern"]
    assert slugs("--status", "inactive") == ["asleep"]
    assert slugs("--scope", "all", "--text", "ERN") == ["northern"]
    assert slugs("--scope", "all", "--site", "south") == ["hers"]
    assert slugs("--scope", "all", "--site", str(site.site_id)) == ["hers", "northern"]


def test_all_agents_are_nobodys_in_particular(cli: Cli) -> None:
    cli.fails(2, "USAGE", "agents", "list", "--scope", "ALL", "--user", "admin")


def test_roles_are_listed_on_request(cli: Cli, server: Server, ada: Person) -> None:
    agent = server.agent(server.admin, "shared")
    server.grant(agent.agent_id, ada, "OPERATOR")
    assert "USER_ROLE" not in cli.acting_as(ada).done("agents", "list").rows[0]
    header, row = cli.acting_as(ada).done("agents", "list", "--include-role").rows
    assert "USER_ROLE" in header
    assert "operator" in row


def test_all_pages_are_listed_unless_a_limit_says_less(cli: Cli, server: Server) -> None:
    for number in range(7):
        server.agent(server.admin, f"agent-{number}")
    assert len(cli.json("agents", "list")) == 7
    assert len(cli.json("agents", "list", "--limit", "7")) == 7
    some = cli.done("agents", "list", "--limit", "3", "--format", "json")
    assert len(some.json) == 3
    assert "more than these 3" in some.err
    assert len(cli.json("agents", "list", "--limit", "3", "--all-pages")) == 7


def test_only_what_is_named_is_updated(cli: Cli) -> None:
    cli.done("sites", "create", "north")
    cli.done("agents", "create", "one", "--config", '{"keep": true}')
    agent = cli.json("agents", "update", "one", "--name", "One", "--site", "north")["agent"]
    assert (agent["agentName"], agent["siteScope"]) == ("One", "1")
    assert agent["config"] == {"keep": True}
    agent = cli.json("agents", "update", "1", "--network-wide", "--status", "archived")["agent"]
    assert "siteScope" not in agent
    assert agent["status"] == "AGENT_STATUS_ARCHIVED"
    agent = cli.json("agents", "update", "one", "--config", "{}")["agent"]
    assert (agent["agentName"], agent["config"]) == ("One", {})


def test_an_update_of_nothing_or_of_two_scopes_is_a_mistake(cli: Cli) -> None:
    cli.fails(2, "USAGE", "agents", "update", "one")
    cli.fails(2, "USAGE", "agents", "update", "one", "--site", "1", "--network-wide")


def test_an_update_can_be_guarded_by_an_etag(cli: Cli) -> None:
    etag = cli.json("agents", "create", "one")["agent"]["etag"]
    cli.done("agents", "update", "one", "--name", "a", "--etag", etag)
    cli.fails(5, "ETAG_MISMATCH", "agents", "update", "one", "--name", "b", "--etag", etag)


def test_an_agent_is_stopped_and_goes_on(cli: Cli, server: Server, ada: Person) -> None:
    agent = server.agent(ada, "runaway")
    token = server.agent_token(ada, agent.agent_id)
    status = ["agents", "status", "runaway"]
    owner = cli.acting_as(ada)
    stopped = owner.done(*status, "inactive", "--reason", "It sends too much.").record
    assert (stopped["status"], stopped["changed"]) == ("inactive", "true")
    cli.acting_as(token).fails(3, "AGENT_INACTIVE", "whoami")
    [*_, change] = server.admin.call("ChangeService/ListChanges").changes
    assert change.after["status_reason"] == "It sends too much."
    assert owner.done(*status, "inactive").record["changed"] == "false"
    assert owner.json(*status, "archived", "--etag", stopped["etag"])["changed"] is True
    owner.fails(5, "ETAG_MISMATCH", *status, "active", "--etag", stopped["etag"])
    owner.done(*status, "active")
    cli.acting_as(token).done("whoami")


def test_the_status_of_an_agent_is_one_of_three(cli: Cli) -> None:
    cli.fails(2, "USAGE", "agents", "status", "one", "asleep")
    cli.fails(2, "USAGE", "agents", "status", "one")


def test_an_agent_is_renamed(cli: Cli) -> None:
    cli.done("agents", "create", "old")
    would = cli.done("agents", "rename", "old", "new", "--dry-run").record
    assert (would["old_slug"], would["agent_slug"]) == ("old", "new")
    assert cli.done("agents", "get", "old").code == 0
    done = cli.done("agents", "rename", "old", "new").record
    assert (done["old_path"], done["new_path"]) == ("agents/old", "agents/new")
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "old")


def test_an_agent_is_transferred(cli: Cli, ada: Person) -> None:
    cli.done("agents", "create", "gift")
    would = cli.json("agents", "transfer", "gift", "ada", "--dry-run")
    assert would["agent"]["ownerId"] == "2"
    done = cli.done("agents", "transfer", "gift", "ada@example.org", "--keep-access").record
    assert (done["owner_id"], done["former_owner_id"], done["tokens_revoked"]) == ("2", "1", "0")
    assert len(cli.json("access", "gift", "list")) == 2


def test_deleting_takes_yes_where_nobody_can_be_asked(cli: Cli) -> None:
    cli.done("agents", "create", "doomed")
    refused = cli.fails(2, "USAGE", "agents", "delete", "doomed")
    assert "--yes" in refused.err
    would = cli.done("agents", "delete", "doomed", "--dry-run").record
    assert would["grants_deleted"] == "1"
    assert cli.done("agents", "get", "doomed").code == 0
    cli.done("agents", "delete", "doomed", "--yes")
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "doomed")


def test_the_default_agent_is_the_only_one_that_the_caller_owns(cli: Cli, ada: Person) -> None:
    cli.done("agents", "create", "hers", "--owner", "ada")
    assert cli.acting_as(ada).done("agents", "resolve").record["agent_slug"] == "hers"
    assert cli.acting_as(ada).done("agents", "get").record["agent_slug"] == "hers"
    assert cli.json("agents", "resolve", "--user", "ada")["agent"]["agentSlug"] == "hers"
    assert cli.json("agents", "resolve", "hers")["agent"]["agentId"] == "1"
    cli.fails(2, "USAGE", "agents", "resolve", "hers", "--user", "ada")


def test_without_an_agent_there_is_none_to_be_meant(cli: Cli) -> None:
    cli.fails(4, "NO_AGENT", "agents", "resolve")


def test_several_agents_that_could_be_meant_are_listed(cli: Cli) -> None:
    cli.done("agents", "create", "one")
    cli.done("agents", "create", "two")
    for words in (["agents", "resolve"], ["agents", "get"], ["check"]):
        refused = cli.fails(5, "AGENT_AMBIGUOUS", *words)
        assert "one" in refused.err
        assert "two" in refused.err


def test_an_agent_named_beforehand_is_the_default(cli: Cli) -> None:
    cli.done("agents", "create", "one")
    cli.done("agents", "create", "two")
    named = {"ACCREDIT_AGENT": "two"}
    assert cli.json("agents", "get", env=named)["agent"]["agentSlug"] == "two"
    assert cli.json("agents", "resolve", env=named)["agent"]["agentSlug"] == "two"
    assert cli.json("--agent", "1", "agents", "get", env=named)["agent"]["agentSlug"] == "one"
    assert cli.json("--agent", "1", "agents", "get", "two")["agent"]["agentSlug"] == "two"


def test_an_id_is_checked_for_existence(cli: Cli) -> None:
    cli.fails(4, "AGENT_NOT_FOUND", "--agent", "99", "agents", "get")
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "resolve", "99")


def test_an_unknown_slug_names_its_neighbours(cli: Cli) -> None:
    cli.done("agents", "create", "billing")
    assert "billing" in cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "biling").err


def test_a_stranger_is_refused_like_for_an_agent_that_does_not_exist(cli: Cli, ada: Person) -> None:
    cli.done("agents", "create", "secretive")
    refused = cli.acting_as(ada).fails(3, "AGENT_ACCESS_DENIED", "agents", "get", "secretive")
    unknown = cli.acting_as(ada).fails(3, "AGENT_ACCESS_DENIED", "agents", "get", "unheard-of")
    assert refused.err.replace("secretive", "unheard-of") == unknown.err


def test_an_agent_is_provisioned(cli: Cli, ada: Person) -> None:
    made = cli.done("agents", "provision", "--user", "ada").record
    assert (made["agent_slug"], made["owner_id"], made["created"]) == ("ada", "2", "true")
    assert cli.acting_as(ada).done("agents", "provision").record["created"] == "false"


def test_a_taken_slug_is_a_conflict(cli: Cli) -> None:
    cli.done("agents", "create", "one")
    cli.fails(5, "AGENT_SLUG_CONFLICT", "agents", "create", "one")


def test_bad_fields_are_named_line_by_line(cli: Cli) -> None:
    refused = cli.fails(2, "FIELD_INVALID", "agents", "create", "one", "--name", "x" * 201)
    assert "agent_name: " in refused.err.splitlines()[1]
