import csv
import io
import re
import socket
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from accredit_storage.directory.limits import FileLimits
from tests.cli.conftest import Cli
from tests.cli.processes import on_terminal
from tests.server import Person, Server

ROLE = """---
name: {name}
description: What {name} does.
model: large
---

I am {name}.
"""


@pytest.fixture
def roles(tmp_path: Path) -> Path:
    """A folder of manifests of every kind."""
    folder = tmp_path / "roles"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.md").write_text(ROLE.format(name="first-role"))
    (folder / "deep" / "soul.txt").write_text("A soul of its own.\n")
    (folder / "deep" / "some.yaml").write_text(
        "agents:\n"
        "  - slug: Second Role!\n"
        "    label: Second\n"
        "    memory_seeds: {SOUL.md: soul.txt}\n"
        "    default_config: {limit: 3}\n"
        "  - slug: third\n"
        "    owner: ada\n"
    )
    return folder


def last_line(text: str) -> str:
    return text.splitlines()[-1]


def revision(cli: Cli) -> int:
    """The number of changes so far."""
    return len(cli.json("changes", "list"))


def test_a_folder_of_manifests_becomes_agents_with_a_report(
    cli: Cli, ada: Person, roles: Path
) -> None:
    applied = cli.done("registry", "apply", str(roles))
    assert applied.rows == [
        ["AGENT_SLUG", "OUTCOME", "FILE", "WHAT"],
        ["first-role", "created", str(roles / "a.md")],
        ["second-role", "created", str(roles / "deep/some.yaml")],
        ["third", "created", str(roles / "deep/some.yaml")],
    ]
    assert last_line(applied.err) == "3 created, 0 existing, 0 skipped, 0 files with errors"
    first = cli.json("agents", "get", "first-role")["agent"]
    assert first["config"] == {"description": "What first-role does.", "model": "large"}
    assert "I am first-role." in cli.done("files", "cat", "SOUL.md", "--agent", "first-role").out
    second = cli.json("agents", "get", "second-role")["agent"]
    assert (second["agentName"], second["config"]) == ("Second", {"limit": 3})
    soul = cli.done("files", "cat", "SOUL.md", "--agent", "second-role").out
    assert soul == "A soul of its own.\n"
    assert cli.json("agents", "get", "third")["agent"]["ownerId"] == str(ada.user_id)


def test_a_second_run_finds_all_existing_and_writes_nothing(
    cli: Cli, ada: Person, roles: Path
) -> None:
    cli.done("registry", "apply", str(roles))
    before = revision(cli)
    again = cli.done("registry", "apply", str(roles))
    assert [row[1] for row in again.rows[1:]] == ["existing"] * 3
    assert last_line(again.err) == "0 created, 3 existing, 0 skipped, 0 files with errors"
    assert revision(cli) == before


def test_the_same_manifests_from_elsewhere_replace_their_definitions(
    cli: Cli, ada: Person, roles: Path
) -> None:
    cli.done("registry", "apply", str(roles))
    moved = roles.rename(roles.with_name("moved"))
    before = revision(cli)
    cli.done("registry", "apply", str(moved))
    assert revision(cli) == before
    listed = {each["agentSlug"]: each for each in cli.json("registry", "list")}
    assert listed["third"]["source"] == "apply"
    assert listed["third"]["overrides"] == []


def test_a_dry_run_says_what_would_be_and_changes_nothing(
    cli: Cli, ada: Person, roles: Path
) -> None:
    before = revision(cli)
    planned = cli.done("registry", "apply", str(roles), "--dry-run")
    assert [row[1] for row in planned.rows[1:]] == ["pending"] * 3
    assert last_line(planned.err) == (
        "nothing was changed: 3 pending, 0 existing, 0 skipped, 0 files with errors"
    )
    assert revision(cli) == before
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "third")


def test_declaring_alone_creates_no_agent(cli: Cli, ada: Person, roles: Path) -> None:
    declared = cli.done("registry", "apply", str(roles), "--no-reconcile", "--source", "mine")
    assert last_line(declared.err).startswith("declared, not created: 3 pending")
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "third")
    assert cli.json("registry", "show", "third")["definition"]["source"] == "mine"
    made = cli.done("registry", "reconcile", "third", "first-role").rows
    assert sorted(row[:2] for row in made[1:]) == [["first-role", "created"], ["third", "created"]]
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "second-role")


def test_a_bad_file_and_a_refused_definition_stop_no_other(cli: Cli, roles: Path) -> None:
    (roles / "b.yaml").write_text("agents:\n- slug: good\n- slug: bad\n  priority: high\n")
    (roles / "c.md").write_bytes(b"---\nname: x\n---\n\xff\n")
    (roles / "d.yaml").write_text("slug: '***'\n")
    (roles / "e.md").write_text(ROLE.format(name="large") + "x" * (8 << 20))
    (roles / "f.yaml").write_text("slug: f\nmemory_seeds: {SOUL.md: seed, USER.md: seed}\n")
    (roles / "seed").write_text("x" * (3 << 20))
    applied = cli.run("registry", "apply", str(roles))
    assert applied.code == 1
    outcomes = {row[0]: row[1] for row in applied.rows[1:]}
    assert outcomes == dict.fromkeys(("first-role", "good", "second-role"), "created")
    errors = [line for line in applied.err.splitlines() if line.startswith("error: ")]
    assert sorted({re.findall(r"/(\w+\.\w+)", line)[0] for line in errors}) == [
        *("b.yaml", "c.md", "d.yaml", "e.md", "f.yaml", "some.yaml"),
    ]
    assert f"error: {roles}/b.yaml:4: priority: " in applied.err
    assert f"error: {roles}/d.yaml:1: agent_slug: " in applied.err
    # Nobody has made the user who is to own the third one.
    unknown = f"error: {roles}/deep/some.yaml:6: there is no user 'ada' (USER_NOT_FOUND)"
    assert unknown in applied.err.splitlines()
    assert last_line(applied.err) == "3 created, 0 existing, 0 skipped, 6 files with errors"


def test_a_path_that_cannot_be_read_stops_no_other(cli: Cli, tmp_path: Path) -> None:
    file, other = tmp_path / "one.yaml", tmp_path / "s.yaml"
    file.write_text("slug: one\n")
    with socket.socket(socket.AF_UNIX) as made:
        # A name that there is, and nothing that can be opened, whoever tries.
        made.bind(str(other))
        applied = cli.run("registry", "apply", str(other), str(file))
    assert (applied.code, applied.rows[1][:2]) == (1, ["one", "created"])
    assert applied.err.startswith(f"error: {other}: ")
    assert last_line(applied.err) == "1 created, 0 existing, 0 skipped, 1 file with errors"


def test_a_skipped_agent_is_no_success(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text("slug: one\nowner_resolver: nobody-has-it\n")
    applied = cli.run("registry", "apply", str(file))
    assert (applied.code, applied.rows[1][:2]) == (1, ["one", "skipped"])
    assert "AGENT_OWNER_NOT_FOUND: this server has no owner resolver" in applied.out
    assert cli.run("registry", "apply", str(file), "--dry-run").code == 1
    reconciled = cli.run("registry", "reconcile", "one", "--format", "json")
    assert reconciled.code == 1
    [detail] = reconciled.json[0]["error"]["details"]
    assert detail["reason"] == "AGENT_OWNER_NOT_FOUND"
    assert detail["metadata"] == {"resolver": "nobody-has-it"}


def test_of_two_manifests_of_one_slug_the_last_counts(cli: Cli, tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("1.yaml", "2.yaml", "3.yaml"))
    one.write_text("slug: same\nlabel: One\n")
    two.write_text("slug: SAME\nlabel: Two\n")
    three.write_text("slug: other\n")
    words = ["registry", "apply", str(one), str(two), str(three)]
    applied = cli.done(*words, "--format", "json")
    assert [each["agentSlug"] for each in applied.json] == ["same", "other"]
    assert applied.json[0]["file"] == str(two)
    assert applied.json[0]["inPlaceOf"] == [f"{one}:1"]
    assert cli.json("agents", "get", "same")["agent"]["agentName"] == "Two"
    before = revision(cli)
    assert f"in place of {one}:1" in cli.done(*words).out
    assert revision(cli) == before


def test_slugs_that_the_server_finds_the_same_are_the_same(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    file.write_text("slug: My Agent!\n---\nslug: my-agent\nlabel: Mine\n")
    [made] = cli.json("registry", "apply", str(file))
    assert (made["agentSlug"], made["inPlaceOf"]) == ("my-agent", [f"{file}:1"])
    assert cli.json("agents", "get", "my-agent")["agent"]["agentName"] == "Mine"


def test_manifests_that_spell_one_slug_differently_are_written_once(
    cli: Cli, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, names in ((first, ("C++", "Café", "a.b.c")), (second, ("C#", "cafe", "a b c"))):
        folder.mkdir()
        for number, name in enumerate(names):
            (folder / f"{number}.md").write_text(ROLE.format(name=f"'{name}'"))
    words = ("registry", "apply", str(first), str(second))
    applied = cli.done(*words)
    assert [row[:3] for row in applied.rows[1:]] == [
        ["c", "created", f"{second}/0.md"],
        ["cafe", "created", f"{second}/1.md"],
        ["a-b-c", "created", f"{second}/2.md"],
    ]
    line = f"notice: {first}/0.md:1: replaced by {second}/0.md:1, which has the same slug c"
    assert line in applied.err.splitlines()
    counts = "3 created, 0 existing, 0 skipped, 3 replaced, 0 files with errors"
    assert last_line(applied.err) == counts
    assert "I am 'C#'." in cli.done("files", "cat", "SOUL.md", "--agent", "c").out
    before = revision(cli)
    assert last_line(cli.done(*words).err) == counts.replace("3 created, 0", "0 created, 3")
    assert revision(cli) == before


def test_paths_that_overlap_replace_nothing(cli: Cli, ada: Person, roles: Path) -> None:
    applied = cli.done("registry", "apply", str(roles), str(roles / "a.md"))
    assert last_line(applied.err) == "3 created, 0 existing, 0 skipped, 0 files with errors"


def test_a_manifest_that_the_server_refuses_replaces_no_other(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "1.yaml").write_text("slug: one\nlabel: First\n")
    (tmp_path / "2.yaml").write_text("slug: ONE!\nmemory_seeds: {SOUL.md: seed, USER.md: seed}\n")
    (tmp_path / "seed").write_text("x" * (3 << 20))
    applied = cli.run("registry", "apply", str(tmp_path))
    assert (applied.code, applied.rows[1]) == (1, ["one", "created", f"{tmp_path}/1.yaml"])
    assert f"error: {tmp_path}/2.yaml:1: " in applied.err
    assert last_line(applied.err) == "1 created, 0 existing, 0 skipped, 1 file with errors"
    assert cli.json("agents", "get", "one")["agent"]["agentName"] == "First"


def test_an_agent_without_one_of_its_files_is_no_success(
    cli: Cli, server: Server, tmp_path: Path
) -> None:
    server.app.directories.files.limits = FileLimits(file_bytes=1000)
    file = tmp_path / "one.md"
    file.write_text(ROLE.format(name="one") + "x" * 1000)
    applied = cli.run("registry", "apply", str(file))
    assert (applied.code, applied.rows[1][:2]) == (1, ["one", "created"])
    [error] = [line for line in applied.err.splitlines() if line.startswith("error: ")]
    assert re.fullmatch("error: one: SOUL.md: .*1000.*", error)


def test_what_another_source_declares_instead_is_said(cli: Cli, tmp_path: Path) -> None:
    cli.done("registry", "register", "one", "--source", "stronger", "--priority", "20")
    cli.done("registry", "register", "two", "--source", "weaker", "--priority", "5")
    file = tmp_path / "both.yaml"
    file.write_text("slug: one\n---\nslug: two\n")
    for options in ((), ("--no-reconcile",)):
        made = cli.json("registry", "apply", str(file), *options)
        assert [each["overriddenBy"] for each in made] == ["stronger", ""]
    one, two = cli.done("registry", "apply", str(file)).out.splitlines()[1:]
    assert "overridden by stronger" in one
    assert "overridden" not in two


@pytest.mark.parametrize("source", ["", " two   words "])
def test_a_source_that_the_server_cleans_does_not_override_itself(
    cli: Cli, tmp_path: Path, source: str
) -> None:
    file = tmp_path / "one.yaml"
    file.write_text("slug: one\n")
    [made] = cli.json("registry", "apply", str(file), "--source", source)
    assert (made["outcome"], made["overriddenBy"]) == ("RECONCILE_OUTCOME_CREATED", "")


def test_the_report_is_the_same_in_every_format(cli: Cli, ada: Person, roles: Path) -> None:
    cli.done("registry", "apply", str(roles))
    as_json = cli.json("registry", "apply", str(roles))
    assert as_json[0] == {
        "agentSlug": "first-role",
        "outcome": "RECONCILE_OUTCOME_EXISTING",
        "agentId": as_json[0]["agentId"],
        "drift": [],
        "files": [],
        "file": str(roles / "a.md"),
        "inPlaceOf": [],
        "overriddenBy": "",
    }
    as_yaml = cli.done("registry", "apply", str(roles), "--format", "yaml").out
    assert YAML(typ="safe").load(as_yaml) == as_json
    as_csv = cli.done("registry", "apply", str(roles), "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(as_csv)))
    assert [row["agent_slug"] for row in rows] == ["first-role", "second-role", "third"]


def test_nothing_to_apply_is_an_empty_report(cli: Cli, tmp_path: Path) -> None:
    cli.done("registry", "register", "declared-elsewhere")
    (tmp_path / "empty").mkdir()
    applied = cli.done("registry", "apply", str(tmp_path / "empty"), "--format", "json")
    assert applied.out == "[]\n"
    assert last_line(applied.err) == "0 created, 0 existing, 0 skipped, 0 files with errors"
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "declared-elsewhere")
    cli.fails(2, "USAGE", "registry", "apply", str(tmp_path / "nowhere"))


def test_who_may_not_declare_is_told_once(cli: Cli, ada: Person, roles: Path) -> None:
    refused = cli.acting_as(ada).run("registry", "apply", str(roles))
    assert refused.code == 3
    assert refused.err.count("error: ") == 1
    assert last_line(refused.err) == "  0 of 3 definitions were declared"


def test_a_terminal_shows_how_far_it_has_come(
    cli: Cli, server: Server, ada: Person, roles: Path
) -> None:
    variables = {"ACCREDIT_ADDRESS": server.address, "ACCREDIT_TOKEN": server.admin.token}
    code, seen = on_terminal(["registry", "apply", str(roles)], variables)
    assert code == 0
    assert "declaring" in seen
    assert "creating" in seen
    assert "3/3" in seen
    assert "3 created, 0 existing" in seen


def test_what_differs_from_its_definition_is_shown_and_left_alone(
    cli: Cli, ada: Person, roles: Path
) -> None:
    cli.done("registry", "apply", str(roles))
    cli.done("agents", "update", "first-role", "--name", "Changed", "--config", "{}")
    for words in (["registry", "apply", str(roles)], ["registry", "reconcile"]):
        row = next(line for line in cli.done(*words).out.splitlines() if "first-role" in line)
        assert row.endswith("drift: agent_name, config")
    [result] = cli.json("registry", "reconcile", "first-role")
    assert [drift["field"] for drift in result["drift"]] == ["agent_name", "config"]
    assert result["drift"][0]["agentValue"] == '"Changed"'
    shown = cli.done("registry", "show", "first-role").record
    assert (shown["outcome"], shown["what"]) == ("existing", "drift: agent_name, config")
    assert cli.json("agents", "get", "first-role")["agent"]["agentName"] == "Changed"


def test_an_agent_is_declared_shown_and_taken_back(cli: Cli, ada: Person, tmp_path: Path) -> None:
    soul = tmp_path / "soul"
    soul.write_text("I am \x1b[31mred.\nYes.")
    declared = cli.done(
        *("registry", "register", "My Helper", "--label", "Helper", "--description", "Helps."),
        *("--owner", "ada@example.org", "--config", '{"a": 1}', "--seed", f"SOUL.md={soul}"),
        *("--seed", f"./x/USER.md={soul}", "--priority", "20", "--source", "tests"),
    ).record
    assert declared["agent_slug"] == "my-helper"
    assert declared["owner"] == str(ada.user_id)
    assert (declared["priority"], declared["source"]) == ("20", "tests")
    assert (declared["changed"], declared["outcome"]) == ("true", "pending")
    assert declared["memory_seeds"] == "SOUL.md:19 USER.md:19"
    shown = cli.done("registry", "show", "my-helper", "--seeds")
    assert shown.out.endswith("\n==> USER.md <==\nI am \x1b[31mred.\nYes.\n")
    texts = cli.json("registry", "show", "my-helper", "--seeds")["definition"]["memorySeeds"]
    assert [seed["text"] for seed in texts] == ["I am \x1b[31mred.\nYes."] * 2
    cli.fails(4, "DEFINITION_NOT_FOUND", "registry", "unregister", "my-helper")
    guarded = ("registry", "unregister", "my-helper", "--source", "tests", "--etag")
    cli.fails(5, "ETAG_MISMATCH", *guarded, '"1"')
    gone = cli.done("registry", "unregister", "my-helper", "--source", "tests").record
    assert gone["agent_slug"] == "my-helper"
    cli.fails(4, "DEFINITION_NOT_FOUND", "registry", "show", "my-helper")


def test_a_definition_is_tried_without_keeping_it(cli: Cli) -> None:
    tried = cli.done("registry", "register", "one", "--dry-run").record
    assert (tried["agent_slug"], tried["outcome"]) == ("one", "pending")
    cli.fails(4, "DEFINITION_NOT_FOUND", "registry", "show", "one")


@pytest.mark.parametrize("seed", ["SOUL.md", "=x", "SOUL.md=/nowhere"])
def test_a_seed_is_a_name_and_a_file(cli: Cli, seed: str) -> None:
    cli.fails(2, "USAGE", "registry", "register", "one", "--seed", seed)


def test_definitions_are_listed_in_every_format(cli: Cli) -> None:
    for slug in ("one", "two", "three"):
        cli.done("registry", "register", slug, "--source", "tests")
    header, *rows = cli.done("registry", "list").rows
    assert header[:3] == ["AGENT_SLUG", "LABEL", "OWNER"]
    assert [row[0] for row in rows if "tests" in row] == ["one", "two", "three"]
    everything = cli.json("registry", "list")
    first = cli.done("registry", "list", "--limit", "1", "--format", "json")
    assert first.json == everything[:1]
    assert "more than these 1" in first.err


def test_the_outcome_of_each_is_told_as_it_comes(cli: Cli) -> None:
    cli.done("registry", "register", "one")
    planned = cli.json("registry", "reconcile", "--dry-run")
    assert {each["agentSlug"]: each["outcome"] for each in planned}["one"] == (
        "RECONCILE_OUTCOME_PENDING"
    )
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "one")
    header, *rows = cli.done("registry", "reconcile").rows
    assert header == ["AGENT_SLUG", "OUTCOME", "AGENT_ID", "WHAT"]
    assert "created" in next(row for row in rows if row[0] == "one")
    assert {row[1] for row in cli.done("registry", "reconcile").rows[1:]} == {"existing"}


def test_what_is_suppressed_does_not_count_until_that_is_lifted(cli: Cli) -> None:
    cli.done("registry", "register", "one", "--source", "tests")
    told = cli.done("registry", "suppress", "tests").record
    assert (told["changed"], told["agent_slugs"]) == ("true", "one")
    assert cli.done("registry", "suppress", "tests").record["changed"] == "false"
    [result] = cli.json("registry", "reconcile", "one")
    assert result["error"]["details"][0]["reason"] == "DEFINITION_SUPPRESSED"
    assert "DEFINITION_SUPPRESSED: " in cli.done("registry", "reconcile", "one").out
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "one")
    told = cli.done("registry", "unsuppress", "tests").record
    assert (told["changed"], told["agent_slugs"]) == ("true", "one")
    [result] = cli.json("registry", "reconcile", "one")
    assert result["outcome"] == "RECONCILE_OUTCOME_CREATED"


def test_the_types_of_memory_files_are_listed_added_and_removed(cli: Cli) -> None:
    before = cli.json("registry", "file-types", "list")
    assert "SOUL.md" in {each["filename"] for each in before}
    made = cli.done(
        *("registry", "file-types", "register", "HOUSE.md", "--layer", "shared"),
        *("--priority", "7", "--protected", "--read-only", "--required-capability", "house.write"),
        *("--label", "House rules"),
    ).record
    assert made["layer"] == "shared"
    assert (made["priority"], made["is_protected"], made["read_only"]) == ("7", "true", "true")
    assert (made["required_capability"], made["label"]) == ("house.write", "House rules")
    assert "HOUSE.md" in cli.done("registry", "file-types", "list").out
    guarded = ("registry", "file-types", "unregister", "HOUSE.md", "--etag")
    cli.fails(5, "ETAG_MISMATCH", *guarded, '"1"')
    cli.fails(2, "USAGE", "registry", "file-types", "register", "HOUSE.md")
    cli.done("registry", "file-types", "unregister", "HOUSE.md")
    assert cli.json("registry", "file-types", "list") == before
    words = ("registry", "file-types", "unregister", "HOUSE.md")
    cli.fails(4, "MEMORY_FILE_TYPE_NOT_FOUND", *words)
