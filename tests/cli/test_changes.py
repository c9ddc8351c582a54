import base64
import csv
import io
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from accredit.cli.options import CHANGE_KINDS
from tests.cli.conftest import Cli
from tests.server import Person
from tests.verifying import verified


@pytest.fixture(autouse=True)
def _history(cli: Cli, ada: Person) -> None:
    cli.done("agents", "create", "billing")
    cli.done("access", "billing", "grant", "ada")
    cli.done("agents", "delete", "billing", "--yes")


def kinds(cli: Cli, *words: str) -> list[str]:
    listed = cli.done("changes", "list", *words, "--format", "csv").out
    return [row["kind"] for row in csv.DictReader(io.StringIO(listed))]


def test_changes_are_listed_in_every_format(cli: Cli) -> None:
    header = (
        "revision,create_time,kind,actor_user_id,actor_agent_id,actor_token_id,subjects,request_id"
    )
    assert cli.done("changes", "list", "--format", "csv").out.splitlines()[0] == header
    table = cli.done("changes", "list").rows
    assert ",".join(table[0]) == header.upper()
    assert table[-1][0] == "6"
    listed = cli.json("changes", "list")
    assert [change["revision"] for change in listed] == ["1", "2", "3", "4", "5", "6"]
    created = listed[3]
    assert created["after"]["config"] == {}
    assert (created["view"], created["beforeDigest"]) == ("CHANGE_VIEW_FULL", "")
    for name in ("hash", "previousHash", "afterDigest"):
        assert len(base64.b64decode(created[name])) == 32
    assert created["previousHash"] == listed[2]["hash"]
    assert "revision: '6'" in cli.done("changes", "list", "--format", "yaml").out


def test_changes_are_filtered(cli: Cli, ada: Person) -> None:
    agent = ["agent_created", "grant_changed", "agent_deleted"]
    assert kinds(cli, "--agent", "1") == agent
    assert kinds(cli, "--agent", "1", "--newest-first") == agent[::-1]
    assert kinds(cli, "--agent", "1", "--after-revision", "4") == agent[1:]
    assert kinds(cli, "--agent", "9", "--agent", "1") == agent
    assert kinds(cli, "--agent", "9", "--user", "2", "--kind", "user_created") == ["user_created"]
    assert kinds(cli, "--subject", "grant:1:user:2") == agent[1:]
    assert kinds(cli, "--subject", "agent_slug:billing") == ["agent_created", "agent_deleted"]
    assert kinds(cli, "--subject", "STORE:") == kinds(cli, "--subject", "store") == []
    assert kinds(cli, "--subject", "site:1", "--agent", "1") == agent
    assert kinds(cli, "--kind", "user_created", "--kind", "BULK") == ["user_created"]
    assert "grant_changed" in kinds(cli, "--user", "ada")
    assert kinds(cli, "--actor", "ada") == []
    assert kinds(cli, "--actor", "admin", "--agent", "1") == agent
    assert kinds(cli, "--actor", "1", "--agent", "1") == agent
    cli.fails(4, "USER_NOT_FOUND", "changes", "list", "--actor", "nobody")
    assert kinds(cli, "--actor-token", ada.token_id) == []
    assert kinds(cli, "--actor-agent", "1") == []
    later = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%MZ}"
    assert kinds(cli, "--since", later) == []
    assert kinds(cli, "--until", later, "--agent", "1") == agent
    assert kinds(cli, "--limit", "2") == ["bootstrapped", "user_created"]


@pytest.mark.parametrize("subject", ["", "agent", "agents:1", ":1", "agent:", "agent:x", "store:1"])
def test_what_is_no_subject_is_a_mistake(cli: Cli, subject: str) -> None:
    ran = cli.run("changes", "list", "--subject", subject)
    assert (ran.code, ran.out) == (2, "")


def test_a_slug_finds_the_agent_that_has_it_now(cli: Cli) -> None:
    cli.done("agents", "create", "second")
    assert kinds(cli, "--agent", "second") == ["agent_created"]
    cli.fails(4, "AGENT_NOT_FOUND", "changes", "list", "--agent", "billing")


def test_every_kind_can_be_asked_for(cli: Cli) -> None:
    words = [word for kind in CHANGE_KINDS for word in ("--kind", kind)]
    assert len(kinds(cli, *words)) == 6


def test_an_intact_log_ends_with_0_and_says_what_to_keep(cli: Cli) -> None:
    record = cli.done("changes", "verify").record
    assert (record["intact"], record["checked"]) == ("true", "6")
    revision, _, digest = record["head"].partition(":")
    assert (revision, len(digest)) == ("6", 64)
    cli.done("agents", "create", "third")
    again = cli.done("changes", "verify", "--anchor", record["head"]).record
    assert (again["checked"], again["head"][:2]) == ("1", "7:")


def test_an_anchor_can_be_taken_from_json(cli: Cli) -> None:
    head = cli.json("changes", "verify")["head"]
    assert len(base64.b64decode(head["hash"])) == 32
    anchor = f"{head['revision']}:{head['hash']}"
    assert cli.done("changes", "verify", "--anchor", anchor).record["intact"] == "true"


def test_what_is_listed_can_be_verified_without_the_server(cli: Cli) -> None:
    cli.done("agents", "create", "exact", "--config", '{"a": [0.1, 1e-7, 1e15, "\\u0000é🤖"]}')
    listed = cli.done("changes", "list", "--format", "json").out
    head = cli.done("changes", "verify").record["head"]
    code, said = verified(listed, head)
    assert (code, said) == (0, f"verified 7 of revisions 1 to 7; keep the head: {head}")
    assert verified(listed.replace("1e-07", "1e-06"), head)[0] == 1


def test_a_log_that_was_tampered_with_ends_with_1(cli: Cli, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "accredit.db") as database:
        database.execute("UPDATE changes SET kind = 'AGENT_CREATED' WHERE revision = 5")
    database.close()
    ran = cli.run("changes", "verify")
    assert ran.code == 1
    assert (ran.record["intact"], ran.record["first_broken_revision"]) == ("false", "5")
    assert cli.run("changes", "verify", "--format", "json").json["intact"] is False


def test_a_false_anchor_is_a_broken_chain(cli: Cli) -> None:
    ran = cli.run("changes", "verify", "--anchor", f"3:{'00' * 32}")
    assert (ran.code, ran.record["intact"]) == (1, "false")


@pytest.mark.parametrize(
    "anchor", ["", "3", "3:", "3:abc", "x:" + "00" * 32, "-1:" + "00" * 32, "0:" + "00" * 32]
)
def test_what_is_no_anchor_is_a_mistake(cli: Cli, anchor: str) -> None:
    cli.fails(2, "USAGE", "changes", "verify", "--anchor", anchor)


def test_an_actor_is_named_by_login_without_looking_users_up(cli: Cli, ada: Person) -> None:
    cli.done("agents", "create", "hers", "--owner", "ada")
    hers = ["--agent", "2", "--actor", "admin"]
    assert kinds(cli.acting_as(ada), *hers) == ["agent_created"]


def test_the_log_takes_an_action(cli: Cli, ada: Person) -> None:
    cli.acting_as(ada).fails(3, "ACTION_MISSING", "changes", "list")
    cli.acting_as(ada).fails(3, "ACTION_MISSING", "changes", "verify")
