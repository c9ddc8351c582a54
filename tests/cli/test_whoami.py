from tests.cli.conftest import Cli
from tests.server import Person, Server


def test_a_caller_is_shown_in_every_format(cli: Cli, ada: Person) -> None:
    asking = cli.acting_as(ada)
    record = asking.done("whoami").record
    assert (record["login"], record["role"], record["kind"]) == ("ada", "member", "user")
    assert (record["token_id"], record["token_state"]) == (ada.token_id, "live")
    assert asking.json("whoami")["principal"]["userId"] == str(ada.user_id)
    assert "login: ada" in asking.done("whoami", "--format", "yaml").out
    assert asking.done("whoami", "--format", "csv").out.startswith("user_id,login,role,")


def test_an_agent_is_shown_with_its_owner(cli: Cli, server: Server, ada: Person) -> None:
    agent = server.agent(ada, "hers")
    bound = server.agent_token(server.admin, agent.agent_id)
    record = cli.acting_as(bound).done("whoami").record
    assert (record["kind"], record["agent_slug"], record["login"]) == ("agent", "hers", "ada")


def test_ones_own_token_is_warned_about_within_a_week_of_its_end(cli: Cli) -> None:
    soon = cli.json("tokens", "create", "--full-rights", "--expires", "6d")
    env = {"ACCREDIT_TOKEN": soon["secret"]}
    ran = cli.done("whoami", env=env)
    assert ran.record["token_state"] == "expiring"
    assert ran.err.startswith("warning: your token expires in 5 days, 20")
    assert f"accredit tokens rotate {soon['token']['tokenId']}" in ran.err
    assert ran.err.count("\n") == 1
    later = cli.json("tokens", "create", "--full-rights", "--expires", "8d")
    assert cli.done("whoami", env={"ACCREDIT_TOKEN": later["secret"]}).err == ""


def test_other_commands_warn_on_request(cli: Cli) -> None:
    soon = cli.json("tokens", "create", "--full-rights", "--expires", "30h")
    env = {"ACCREDIT_TOKEN": soon["secret"]}
    assert cli.done("sites", "list", env=env).err == ""
    assert "expires in 29 hours" in cli.done("sites", "list", "--warn", env=env).err
    assert "expires in 29 hours" in cli.done("--warn", "sites", "list", env=env).err
    assert cli.done("--warn", "sites", "list", "--no-warn", env=env).err == ""
    assert cli.done("--warn", "whoami", env=env).err.count("expires in") == 1
    assert "expires in" in cli.run("--warn", "check", "none", env=env).err


def test_a_token_that_was_replaced_is_warned_about_with_its_successor(cli: Cli) -> None:
    old = cli.json("tokens", "create", "--full-rights")
    new = cli.json("tokens", "rotate", old["token"]["tokenId"])["token"]["tokenId"]
    err = cli.done("whoami", env={"ACCREDIT_TOKEN": old["secret"]}).err
    assert "less than an hour" in err
    assert f"its successor is {new}" in err


def test_a_warning_that_cannot_be_had_is_no_failure(cli: Cli) -> None:
    made = cli.json("tokens", "create", "--full-rights")
    env = {"ACCREDIT_TOKEN": made["secret"]}
    ran = cli.done("--warn", "tokens", "revoke", made["token"]["tokenId"], env=env)
    assert ran.err == ""
