from tests.cli.conftest import Cli
from tests.server import Person, Server


def test_an_administrators_rows_are_everybodys(cli: Cli, server: Server, ada: Person) -> None:
    server.agent(ada, "hers")
    assert cli.done("scope").record | {"default_agent_id": ""} == {
        "users": "all",
        "agents": "all",
        "default_agent_id": "",
        "reason": "",
        "message": "",
    }
    record = cli.done("scope", "--user", "ada", "--agent", "hers").record
    assert (record["users"], record["agents"]) == ("2", "1")


def test_a_members_rows_are_their_own_and_those_of_agents_within_reach(
    cli: Cli, server: Server, ada: Person
) -> None:
    asking = cli.acting_as(ada)
    assert asking.done("scope").record["agents"] == "none"
    server.agent(ada, "hers")
    shared = server.agent(server.admin, "shared")
    server.grant(shared.agent_id, ada)
    record = asking.done("scope", "--user", "admin").record
    assert (record["users"], record["agents"], record["default_agent_id"]) == ("2", "1 2", "1")
    assert asking.done("scope", "--role", "operator").record["agents"] == "1"


def test_a_scope_that_is_denied_ends_with_1(cli: Cli, server: Server, ada: Person) -> None:
    server.agent(server.admin, "secretive")
    denied = cli.acting_as(ada).run("scope", "--agent", "secretive")
    assert (denied.code, denied.record["reason"]) == (1, "role_insufficient")
    assert denied.record["users"] == ""
    answer = cli.acting_as(ada).run("scope", "--agent", "secretive", "--format", "json").json
    assert answer["denial"]["reason"] == "DECISION_ROLE_INSUFFICIENT"
