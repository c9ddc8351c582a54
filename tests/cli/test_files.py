import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.cli.processes import COMMAND, PATIENCE, environment, on_terminal, start
from tests.server import Person, Server


@pytest.fixture
def variables(server: Server) -> dict[str, str]:
    return {"ACCREDIT_ADDRESS": server.address, "ACCREDIT_TOKEN": server.admin.token}


@pytest.fixture
def scribe(cli: Cli) -> Cli:
    """The command, with an agent to whom it belongs what is written."""
    cli.done("agents", "create", "scribe")
    return cli


def written(folder: Path, name: str, text: str) -> str:
    """The command of an editor that does this."""
    script = folder / name
    script.write_text(f"import os, pathlib, sys\nfile = pathlib.Path(sys.argv[1])\n{text}\n")
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))}"


def kept_in(message: str) -> Path:
    """The file that a message says the edited text is in."""
    (found,) = re.findall(r"the edited text is in (\S+)", message)
    return Path(found)


def test_a_file_is_put_listed_printed_and_removed(scribe: Cli) -> None:
    put = scribe.done("files", "put", "notes/one.md", input="first\n").record
    assert (put["path"], put["size"]) == ("notes/one.md", "6")
    listed = scribe.json("files", "list", "notes")
    assert [file["path"] for file in listed] == ["notes/one.md"]
    assert listed[0]["etag"] == put["etag"]
    assert scribe.done("files", "cat", "notes/one.md").out == "first\n"
    [removed] = scribe.json("files", "rm", "notes/one.md", "--yes")
    assert removed["path"] == "notes/one.md"
    scribe.fails(4, "FILE_NOT_FOUND", "files", "cat", "notes/one.md")
    assert scribe.done("files", "list", "notes", "--format", "json").out == "[]\n"


def test_content_goes_in_and_comes_out_byte_for_byte(
    scribe: Cli, variables: dict[str, str], tmp_path: Path
) -> None:
    content = bytes(range(256)) * 1200 + b"no end of line \xff"
    file = tmp_path / "content"
    file.write_bytes(content)
    scribe.done("files", "put", "blob.bin", str(file))
    ran = subprocess.run(
        [*COMMAND, "files", "cat", "blob.bin"],
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ran.returncode, ran.stdout == content, ran.stderr) == (0, True, b"")


def test_what_no_server_takes_is_not_read_to_its_end(scribe: Cli) -> None:
    refused = scribe.fails(2, "USAGE", "files", "put", "a.md", "/dev/zero")
    assert "larger than 64 MiB" in refused.err


def test_an_empty_file_is_one_too(scribe: Cli) -> None:
    assert scribe.done("files", "put", "empty.md", input="").record["size"] == "0"
    assert scribe.done("files", "cat", "empty.md").out == ""


def test_what_a_file_holds_cannot_drive_the_terminal(
    scribe: Cli, variables: dict[str, str]
) -> None:
    scribe.done("files", "put", "evil.md", input="\x1b[2Jgone\u202e\n\tnext \u00e9\n")
    code, seen = on_terminal(["files", "cat", "evil.md"], variables)
    assert code == 0
    assert "\\x1b[2Jgone\\u202e\n" in seen
    assert "next \u00e9" in seen
    assert "\x1b" not in seen


def test_what_is_appended_comes_after_what_is_there(scribe: Cli, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.write_text("two\n")
    scribe.done("files", "append", "list.md", input="one\n")
    etag = scribe.json("files", "append", "list.md", str(more))["file"]["etag"]
    scribe.done("files", "append", "list.md", "-", "--etag", etag, input="three\n")
    assert scribe.done("files", "cat", "list.md").out == "one\ntwo\nthree\n"
    scribe.fails(5, "ETAG_MISMATCH", "files", "append", "list.md", "--etag", etag, input="x")


def test_writing_is_guarded_by_an_etag_or_by_there_being_none(scribe: Cli) -> None:
    etag = scribe.json("files", "put", "a.md", "--only-if-absent", input="1")["file"]["etag"]
    scribe.fails(5, "ETAG_MISMATCH", "files", "put", "a.md", "--only-if-absent", input="2")
    scribe.done("files", "put", "a.md", "--etag", etag, input="2")
    scribe.fails(5, "ETAG_MISMATCH", "files", "put", "a.md", "--etag", etag, input="3")
    scribe.fails(5, "ETAG_MISMATCH", "files", "rm", "a.md", "--etag", etag, "--yes")
    assert scribe.done("files", "cat", "a.md").out == "2"


def test_each_directory_keeps_its_own_files(scribe: Cli, ada: Person) -> None:
    places: list[list[str]] = [
        [],
        ["--user", "ada"],
        ["--shared"],
        ["--network"],
        ["--legacy"],
    ]
    for number, place in enumerate(places):
        scribe.done("files", "put", "own.md", *place, input=f"{number}")
    for number, place in enumerate(places):
        assert scribe.done("files", "cat", "own.md", *place).out == f"{number}"
    for words in (["--agent", "scribe"], ["--agent", "1"]):
        assert scribe.done("files", "cat", "own.md", *words).out == "0"
    assert scribe.done("--agent", "scribe", "files", "cat", "own.md").out == "0"
    named = {"ACCREDIT_AGENT": "scribe"}
    assert scribe.done("files", "cat", "own.md", env=named).out == "0"
    assert scribe.done("files", "cat", "own.md", "--shared", env=named).out == "2"


@pytest.mark.parametrize(
    "places",
    [["--shared", "--agent", "x"], ["--user", "ada", "--agent", "x"], ["--user", "1", "--legacy"]],
)
def test_two_directories_are_one_too_many(cli: Cli, places: list[str]) -> None:
    cli.fails(2, "USAGE", "files", "cat", "a.md", *places)


def test_a_path_that_leads_out_is_refused(scribe: Cli) -> None:
    for path in ("../a.md", "/etc/passwd", ".hidden"):
        scribe.fails(2, "PATH_INVALID", "files", "put", path, input="x")
        scribe.fails(2, "PATH_INVALID", "files", "cat", path)
        scribe.fails(2, "PATH_INVALID", "files", "edit", path)


def test_a_stranger_reads_nothing(scribe: Cli, ada: Person) -> None:
    scribe.done("files", "put", "a.md", input="x")
    stranger = scribe.acting_as(ada)
    assert stranger.run("files", "cat", "a.md", "--agent", "scribe").code == 3
    assert stranger.run("files", "put", "a.md", "--shared", input="x").code == 3


def test_several_files_are_removed_until_one_cannot_be(scribe: Cli) -> None:
    for name in ("a.md", "b.md", "c.md"):
        scribe.done("files", "put", name, input="x")
    ran = scribe.run("files", "rm", "a.md", "none.md", "b.md", "--yes", "--format", "json")
    assert ran.code == 4
    assert [done["path"] for done in ran.json] == ["a.md"]
    assert "FILE_NOT_FOUND" in ran.err
    scribe.done("files", "rm", "b.md", "c.md", "--yes")
    scribe.fails(2, "USAGE", "files", "rm", "a.md", "b.md", "--etag", "x", "--yes")


def test_removing_asks_and_says_what_goes(scribe: Cli, variables: dict[str, str]) -> None:
    scribe.done("files", "put", "a.md", input="x")
    scribe.fails(2, "USAGE", "files", "rm", "a.md")
    words = ["files", "rm", "a.md"]
    code, seen = on_terminal(words, variables, asked="[y/N]", typed="n\n")
    assert (code, "Delete a.md? [y/N]" in seen, "nothing was deleted" in seen) == (1, True, True)
    assert scribe.done("files", "cat", "a.md").out == "x"
    assert on_terminal(words, variables, asked="[y/N]", typed="y\n")[0] == 0
    scribe.fails(4, "FILE_NOT_FOUND", "files", "cat", "a.md")


def test_starter_files_are_made_once_and_the_outcome_of_each_is_shown(scribe: Cli) -> None:
    first = scribe.json("files", "list")
    assert first, "an agent begins with its starter files"
    name = first[0]["path"]
    scribe.done("files", "rm", name, "--yes")
    again = {row[0]: row[1] for row in scribe.done("files", "scaffold").rows[1:]}
    assert again[name] == "created"
    assert set(again.values()) <= {"created", "existing", "empty"}
    [one] = scribe.json("files", "scaffold", name)
    assert (one["path"], one["outcome"]) == (name, "SCAFFOLD_OUTCOME_EXISTING")
    scribe.fails(4, "MEMORY_FILE_TYPE_NOT_FOUND", "files", "scaffold", "unheard-of.md")


@pytest.mark.parametrize(
    ("options", "environment", "directory", "path"),
    [
        (("--agent", "scribe"), {}, "agent:1", "agents/scribe"),
        ((), {"ACCREDIT_AGENT": "scribe"}, "agent:1", "agents/scribe"),
        ((), {}, "agent:1", "agents/scribe"),
        (("--user", "ada"), {"ACCREDIT_AGENT": "scribe"}, "user:{ada}", "users/{ada}"),
        (("--user", "owner"), {}, "agent:2", "agents/owned"),
        (("--shared",), {}, "shared", "shared"),
        (("--network",), {"ACCREDIT_AGENT": "scribe"}, "network", "network"),
        (("--legacy",), {}, "legacy", "agent"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple | dict) else part,
)
def test_every_command_means_the_directory_that_where_tells(
    scribe: Cli,
    ada: Person,
    tmp_path: Path,
    options: tuple[str, ...],
    environment: dict[str, str],
    directory: str,
    path: str,
) -> None:
    scribe.done("users", "create", "owner")
    if options == ("--user", "owner"):
        scribe.done("agents", "create", "owned", "--owner", "owner")
    told = scribe.done("files", "where", *options, env=environment).record
    assert told["directory"] == directory.format(ada=ada.user_id)
    assert told["path"] == path.format(ada=ada.user_id)

    def done(*words: str, **more: Any) -> Any:
        return scribe.done("files", *words, *options, env=environment, **more)

    done("put", "here.md", input="one\n")
    done("append", "here.md", input="two\n")
    assert done("cat", "here.md").out == "one\ntwo\n"
    assert "here.md" in done("list").out
    on_disk = tmp_path / "data" / "files" / told["path"] / "here.md"
    assert on_disk.read_text() == "one\ntwo\n"
    done("scaffold")
    done("rm", "here.md", "--yes")
    assert "here.md" not in done("list").out


def test_a_file_is_edited_privately_and_written_back(
    scribe: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    seen = tmp_path / "seen"
    editor = written(
        tmp_path,
        "editor",
        "mode = file.stat().st_mode & 0o777\n"
        f"pathlib.Path({str(seen)!r}).write_text(f'{{file.name}} {{mode:o}}')\n"
        "file.write_bytes(file.read_bytes() + b'two\\n')",
    )
    scribe.done("files", "put", "notes/a.md", input="one\n")
    monkeypatch.setenv("VISUAL", editor)
    monkeypatch.setenv("EDITOR", "false")
    edited = scribe.done("files", "edit", "notes/a.md").record
    assert (edited["path"], edited["size"]) == ("notes/a.md", "8")
    assert scribe.done("files", "cat", "notes/a.md").out == "one\ntwo\n"
    assert seen.read_text() == "a.md 600"
    assert not list(tmp_path.glob("accredit-*")), "the draft is gone"


def test_a_new_file_is_edited_into_being(
    scribe: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", written(tmp_path, "editor", "file.write_text('new')"))
    scribe.done("files", "edit", "new.md")
    assert scribe.done("files", "cat", "new.md").out == "new"


def test_an_edit_of_nothing_writes_nothing(scribe: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "true")
    scribe.done("files", "put", "a.md", input="x")
    before = scribe.json("files", "list")
    for path in ("a.md", "none.md"):
        ran = scribe.done("files", "edit", path)
        assert (ran.out, ran.err) == ("", "nothing changed\n")
    assert scribe.json("files", "list") == before


@pytest.mark.parametrize("was_there", [True, False])
def test_an_edit_that_somebody_else_was_faster_than_is_kept(
    scribe: Cli,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    was_there: bool,
) -> None:
    if was_there:
        scribe.done("files", "put", "a.md", input="mine")
    other = environment({"ACCREDIT_ADDRESS": server.address})
    other["ACCREDIT_TOKEN"] = server.admin.token
    editor = written(
        tmp_path,
        "editor",
        f"import subprocess\nfile.write_text('edited')\n"
        f"subprocess.run({[*COMMAND, 'files', 'put', 'a.md']!r}, input=b'theirs', check=True, "
        f"env={other!r}, stdout=subprocess.DEVNULL)",
    )
    monkeypatch.setenv("VISUAL", editor)
    refused = scribe.fails(5, "ETAG_MISMATCH", "files", "edit", "a.md")
    kept = kept_in(refused.err)
    assert kept.read_text() == "edited"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    kept.unlink()
    kept.parent.rmdir()
    assert scribe.done("files", "cat", "a.md").out == "theirs"


def test_an_editor_that_fails_writes_nothing_and_loses_nothing(
    scribe: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scribe.done("files", "put", "a.md", input="x")
    monkeypatch.setenv("VISUAL", "false")
    assert "the edited text" not in scribe.fails(7, "FAILED", "files", "edit", "a.md").err
    editor = written(tmp_path, "editor", "file.write_text('half'); sys.exit(1)")
    monkeypatch.setenv("VISUAL", editor)
    kept = kept_in(scribe.fails(7, "FAILED", "files", "edit", "a.md").err)
    assert kept.read_text() == "half"
    kept.unlink()
    kept.parent.rmdir()
    assert scribe.done("files", "cat", "a.md").out == "x"


def test_an_edit_that_is_interrupted_loses_nothing(
    scribe: Cli, variables: dict[str, str], tmp_path: Path
) -> None:
    scribe.done("files", "put", "a.md", input="x")
    editor = written(
        tmp_path,
        "editor",
        "import signal\nfile.write_text('half')\nos.kill(os.getppid(), signal.SIGINT)\n"
        "signal.pause()",
    )
    process = start(
        ["files", "edit", "a.md"],
        {**variables, "VISUAL": editor, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said = process.stderr.readline()  # type: ignore[union-attr]
        assert process.wait(PATIENCE) == 130
    finally:
        # The editor, which in life hears of a Ctrl-C by itself.
        os.killpg(process.pid, 9)
        process.communicate()
    assert kept_in(said).read_text() == "half"


def test_an_agent_that_goes_says_where_its_files_are(scribe: Cli) -> None:
    assert scribe.done("agents", "get", "scribe").record["directory"] == "agents/scribe"
    moved = scribe.done("agents", "rename", "scribe", "writer").record
    assert (moved["old_path"], moved["new_path"]) == ("agents/scribe", "agents/writer")
    gone = scribe.done("agents", "delete", "writer", "--yes").record
    assert gone["files_deleted"] == "false"
    assert gone["kept_path"]
    scribe.done("agents", "create", "other")
    gone = scribe.done("agents", "delete", "other", "--delete-files", "--yes").record
    assert (gone["files_deleted"], gone["kept_path"]) == ("true", "")
