import os
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.server import Person, Server


def test_a_secret_is_shown_once_with_a_warning(cli: Cli) -> None:
    ran = cli.done("tokens", "create", "--full-rights", "--label", "laptop")
    assert ran.record["secret"].startswith("acr_")
    assert ran.record["label"] == "laptop"
    assert ran.record["rights"] == "full"
    assert "this once" in ran.err
    assert ran.record["secret"] not in ran.err
    assert "acr_" not in cli.done("tokens", "get", ran.record["token_id"]).out


def test_a_secret_alone_goes_to_standard_output(cli: Cli) -> None:
    ran = cli.done("tokens", "create", "--full-rights", "--secret-only")
    assert ran.out.startswith("acr_")
    assert ran.out.count("\n") == 1
    assert ran.err == ""
    env = {"ACCREDIT_TOKEN": ran.out.strip()}
    assert cli.json("whoami", env=env)["user"]["login"] == "admin"


@pytest.mark.parametrize("format", ["table", "json", "csv", "yaml"])
def test_a_secret_goes_into_a_file_of_ones_own(cli: Cli, tmp_path: Path, format: str) -> None:
    file = tmp_path / "token"
    words = ["tokens", "create", "--full-rights", "--secret-file", str(file)]
    ran = cli.done(*words, "--format", format)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = file.read_text().strip()
    assert secret.startswith("acr_")
    assert secret not in ran.out + ran.err
    assert cli.acting_as(None).done("--token-file", str(file), "whoami").record["login"] == "admin"


def test_a_file_that_is_there_is_not_written_over_and_no_token_is_minted(
    cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("precious")
    before = len(cli.json("tokens", "list"))
    cli.fails(2, "USAGE", "tokens", "create", "--full-rights", "--secret-file", str(file))
    assert file.read_text() == "precious"
    assert len(cli.json("tokens", "list")) == before


def test_a_folder_that_is_not_there_is_found_out_before_a_token_is_minted(
    cli: Cli, tmp_path: Path
) -> None:
    before = len(cli.json("tokens", "list"))
    missing = str(tmp_path / "missing" / "token")
    cli.fails(2, "USAGE", "tokens", "create", "--full-rights", "--secret-file", missing)
    assert len(cli.json("tokens", "list")) == before


def test_no_file_is_left_where_no_token_was_minted(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "token"
    words = ["tokens", "create", "--full-rights", "--agent", "none", "--secret-file", str(file)]
    cli.fails(4, "AGENT_NOT_FOUND", *words)
    assert not file.exists()


def test_rotation_replaces_the_file_that_clients_watch(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "token"
    made = cli.json("tokens", "create", "--full-rights", "--secret-file", str(file))
    old = file.read_text()
    token_id = made["token"]["tokenId"]
    ran = cli.json("tokens", "rotate", token_id, "--secret-file", str(file), "--overlap", "2h")
    assert ran["token"]["rotatedFrom"] == token_id
    assert file.read_text() != old
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path).count("token") == 1
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".token")]
    assert cli.done("tokens", "get", token_id).record["state"] == "replaced"
    cli.fails(5, "TOKEN_ALREADY_ROTATED", "tokens", "rotate", token_id)


def test_rotation_shows_the_successor_alone_on_request(cli: Cli) -> None:
    made = cli.json("tokens", "create", "--full-rights")["token"]["tokenId"]
    secret = cli.done("tokens", "rotate", made, "--overlap", "0", "--secret-only").out.strip()
    assert made not in secret
    cli.done("whoami", env={"ACCREDIT_TOKEN": secret})
    assert cli.done("tokens", "get", made).record["state"] == "expired"


def test_a_ceiling_has_a_role_and_capabilities(cli: Cli) -> None:
    cli.done("agents", "create", "billing")
    made = cli.done(
        *["tokens", "create", "--agent", "billing", "--max-role", "viewer"],
        *["--capability", "chat", "--capability", "billing.refund"],
    ).record
    assert made["holder"] == "agent:1"
    assert made["rights"] == "viewer billing.refund chat"


def test_a_token_takes_a_ceiling_or_full_rights(cli: Cli) -> None:
    cli.fails(2, "USAGE", "tokens", "create")
    cli.fails(2, "USAGE", "tokens", "create", "--full-rights", "--max-role", "admin")
    cli.fails(2, "USAGE", "tokens", "create", "--full-rights", "--capability", "chat")
    refused = cli.fails(2, "USAGE", "tokens", "create", "--capability", "chat")
    assert "--max-role" in refused.err


def test_a_token_ends_when_it_is_told_to(cli: Cli) -> None:
    at = cli.json("tokens", "create", "--full-rights", "--expires", "2099-12-31T00:00+02:00")
    assert at["token"]["expireTime"] == "2099-12-30T22:00:00Z"
    soon = cli.json("tokens", "create", "--full-rights", "--expires", "3d")["token"]
    far = cli.json("tokens", "create", "--full-rights", "--expires", "52w")["token"]
    listed = cli.done("tokens", "list")
    states = {row[0]: row[3] for row in listed.rows[1:]}
    assert states[soon["tokenId"]] == "expiring"
    assert states[far["tokenId"]] == "live"
    assert listed.err == f"warning: 1 of them expires within 7 days: {soon['tokenId']}\n"


def test_tokens_are_listed_in_every_format(cli: Cli) -> None:
    cli.done("agents", "create", "billing")
    cli.done("tokens", "create", "--agent", "billing", "--full-rights", "--act-as-owner")
    header = (
        "token_id,holder,label,rights,state,act_as_owner,expire_time,last_used_time,"
        "created_by,create_time"
    )
    table = cli.done("tokens", "list", "--agent", "1")
    assert ",".join(table.rows[0]) == header.upper()
    assert table.rows[1][1:5] == ["agent:1", "full", "live", "true"]
    assert cli.done("tokens", "list", "--format", "csv").out.splitlines()[0] == header
    [token] = cli.json("tokens", "list", "--agent", "billing")
    assert token["agentId"] == "1"
    assert "agentId: '1'" in cli.done("tokens", "list", "--agent", "1", "--format", "yaml").out


def test_whose_tokens_is_said_by_flag_or_environment_else_they_are_ones_own(
    cli: Cli, ada: Person
) -> None:
    cli.done("agents", "create", "billing")
    minted = cli.json("tokens", "create", "--agent", "billing", "--full-rights")
    token_id = minted["token"]["tokenId"]
    named = {"ACCREDIT_AGENT": "billing"}

    def ids(*words: str, env: dict[str, str] | None = None) -> list[str]:
        return [token["tokenId"] for token in cli.json(*words, "tokens", "list", env=env)]

    assert ids("--agent", "billing") == [token_id]
    assert ids(env=named) == [token_id]
    assert token_id not in ids()
    [theirs] = cli.json("tokens", "list", "--user", "ada", env=named)
    assert theirs["tokenId"] == ada.token_id
    cli.fails(2, "USAGE", "tokens", "list", "--agent", "1", "--user", "ada")


def test_a_token_is_revoked(cli: Cli) -> None:
    made = cli.json("tokens", "create", "--full-rights")["token"]["tokenId"]
    assert cli.done("tokens", "revoke", made).record["state"] == "revoked"
    assert cli.done("tokens", "revoke", made).code == 0
    shown = [token["tokenId"] for token in cli.json("tokens", "list")]
    assert made not in shown
    shown = [token["tokenId"] for token in cli.json("tokens", "list", "--show-inactive")]
    assert made in shown
    cli.fails(5, "TOKEN_NOT_LIVE", "tokens", "rotate", made)


def test_all_tokens_of_an_agent_or_a_user_are_revoked(cli: Cli, ada: Person) -> None:
    cli.done("agents", "create", "billing")
    for _ in range(2):
        cli.done("tokens", "create", "--agent", "billing", "--full-rights")
    assert cli.done("tokens", "revoke-all", "--agent", "1").record == {"tokens_revoked": "2"}
    ran = cli.done("tokens", "revoke-all", "--user", "ada", "--include-minted")
    assert ran.record == {"tokens_revoked": "1"}


def test_nobodys_tokens_are_all_revoked_by_leaving_out_whose(cli: Cli) -> None:
    named = {"ACCREDIT_AGENT": "billing"}
    cli.fails(2, "USAGE", "tokens", "revoke-all", env=named)
    cli.fails(2, "USAGE", "tokens", "revoke-all", "--agent", "1", "--include-minted")


def test_a_whole_token_given_for_its_id_is_refused_and_not_repeated(cli: Cli) -> None:
    secret = cli.done("tokens", "create", "--full-rights", "--secret-only").out.strip()
    for command in ("get", "revoke", "rotate"):
        refused = cli.fails(2, "USAGE", "tokens", command, secret)
        assert secret not in refused.err


def test_who_may_not_see_a_token_is_told_nothing(cli: Cli, server: Server, ada: Person) -> None:
    other = server.user()
    asking = cli.acting_as(ada)
    refused = asking.fails(3, "TOKEN_ACCESS_DENIED", "tokens", "get", other.token_id)
    unknown = asking.fails(3, "TOKEN_ACCESS_DENIED", "tokens", "get", "x" * 16)
    assert refused.err.replace(other.token_id, "x" * 16) == unknown.err


def test_an_agents_token_mints_nothing(cli: Cli, server: Server) -> None:
    agent = server.agent(server.admin)
    bound = server.agent_token(server.admin, agent.agent_id)
    words = ["tokens", "create", "--full-rights", "--agent", str(agent.agent_id)]
    cli.acting_as(bound).fails(3, "USER_TOKEN_REQUIRED", *words)
