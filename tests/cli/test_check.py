import pytest

from tests.cli.conftest import Cli
from tests.server import Person, Server


@pytest.fixture
def agent_id(server: Server, ada: Person) -> int:
    agent = server.agent(server.admin, "billing")
    server.grant(agent.agent_id, ada, "OPERATOR")
    return int(agent.agent_id)


def test_a_yes_ends_with_0_and_a_no_with_1(cli: Cli, agent_id: int) -> None:
    yes = cli.run("check", "billing", "--user", "ada", "--role", "operator")
    assert (yes.code, yes.record["decision"]) == (0, "allowed")
    no = cli.run("check", "billing", "--user", "ada", "--role", "admin")
    assert (no.code, no.record["decision"]) == (1, "denied")
    assert no.record["reason"] == "role_insufficient"
    assert no.err == ""


def test_an_unknown_agent_is_denied_like_any_other(cli: Cli) -> None:
    assert cli.run("check", "unheard-of").code == 1
    assert cli.run("check", "99", "--user", "admin").code == 1


def test_why_says_what_the_answer_rests_on(cli: Cli, agent_id: int) -> None:
    why = cli.run("check", "1", "--user", "ada@example.org", "--why").record
    assert (why["role"], why["role_source"]) == ("operator", "grant")
    assert why["cacheable"] == "true"
    assert why["depends_on"].split() == ["agent:1", "user:2", "grant:1:user:2"]
    why = cli.run("check", "1", "--user", "ada", "--role", "admin", "--why").record
    assert (why["decision"], why["role"]) == ("denied", "operator")


def test_an_answer_is_shown_in_every_format(cli: Cli, agent_id: int) -> None:
    denied = ["check", "billing", "--user", "ada", "--role", "admin", "--format"]
    header, row = cli.run(*denied, "csv").out.splitlines()
    assert header == "decision,reason,message"
    assert row.startswith("denied,role_insufficient,")
    answer = cli.run(*denied, "json")
    assert answer.code == 1
    assert answer.json["denial"]["reason"] == "DECISION_ROLE_INSUFFICIENT"
    assert answer.json["role"] == "ROLE_OPERATOR"
    assert "reason: DECISION_ROLE_INSUFFICIENT" in cli.run(*denied, "yaml").out


def test_the_default_agent_is_the_subjects(cli: Cli, server: Server, ada: Person) -> None:
    server.agent(ada, "hers")
    assert cli.run("check", "--user", "ada", "--role", "admin").code == 0
    assert cli.acting_as(ada).run("check").code == 0


def test_a_site_and_a_status_can_be_demanded(cli: Cli, ada: Person) -> None:
    cli.done("sites", "create", "north")
    cli.done("agents", "create", "northern", "--owner", "ada", "--site", "north")
    asking = cli.acting_as(ada)
    assert asking.run("check", "northern").record["reason"] == "site_required"
    assert asking.run("check", "northern", "--site", "north").code == 0
    assert asking.run("--site", "north", "check", "northern").code == 0
    assert asking.run("--site", "1", "check", "northern").code == 0
    assert asking.run("check", "northern", env={"ACCREDIT_SITE": "1"}).code == 0
    cli.done("agents", "update", "northern", "--status", "inactive")
    active = ["check", "northern", "--site", "1", "--require-active"]
    assert asking.run(*active).record["reason"] == "agent_inactive"


def test_asking_about_others_takes_an_action(cli: Cli, agent_id: int, ada: Person) -> None:
    cli.acting_as(ada).fails(3, "ACTION_MISSING", "check", "billing", "--user", "1")
