from pathlib import Path

from tests.cli.conftest import Cli
from tests.server import Person, Server


def test_a_token_on_standard_input_is_told_apart(cli: Cli, ada: Person) -> None:
    works = cli.run("authenticate", input=f"{ada.token}\n")
    assert (works.code, works.record["decision"], works.record["login"]) == (0, "allowed", "ada")
    fails = cli.run("authenticate", input="acr_rubbish")
    assert (fails.code, fails.record["reason"]) == (1, "token_invalid")
    assert ada.token not in works.out + works.err


def test_a_token_in_a_file_is_the_subject_and_not_the_caller(
    cli: Cli, server: Server, tmp_path: Path
) -> None:
    agent = server.agent(server.admin, "billing")
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.write_text(server.admin.token)
    theirs.write_text(server.agent_token(server.admin, agent.agent_id).token)
    ran = cli.acting_as(None).done(
        "--token-file", str(mine), "authenticate", "--token-file", str(theirs)
    )
    assert (ran.record["kind"], ran.record["agent_slug"]) == ("agent", "billing")


def test_an_answer_is_shown_in_every_format(cli: Cli, ada: Person) -> None:
    ask = ["authenticate", "--format"]
    assert cli.run(*ask, "json", input=ada.token).json["principal"]["login"] == "ada"
    assert "login: ada" in cli.run(*ask, "yaml", input=ada.token).out
    assert cli.run(*ask, "csv", input=ada.token).out.startswith("decision,reason,message,kind,")


def test_a_token_is_never_an_argument(cli: Cli, ada: Person) -> None:
    refused = cli.fails(2, "USAGE", "authenticate", ada.token)
    assert ada.token not in refused.err
    assert "[redacted]" in refused.err


def test_no_token_or_one_that_is_no_text_is_a_mistake(cli: Cli, tmp_path: Path) -> None:
    cli.fails(2, "USAGE", "authenticate", input=" \n")
    cli.fails(2, "USAGE", "authenticate", input=b"\xff\xfe")
    cli.fails(2, "USAGE", "authenticate", "--token-file", str(tmp_path / "missing"))
    cli.fails(2, "USAGE", "authenticate", "--token-file", str(tmp_path))


def test_a_member_may_not_ask(cli: Cli, ada: Person) -> None:
    cli.acting_as(ada).fails(3, "ACTION_MISSING", "authenticate", input=ada.token)
