"""What the documentation says of the code is so, and nothing of the code is left out."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import grpc
import pytest

import accredit
from accredit import _verdicts
from accredit.cli.failures import ExitCode
from accredit.cli.root import accredit as command_line
from accredit.v1 import errors_pb2, types_pb2
from accredit_service import cli, pools
from accredit_service.abilities.errors import Reason
from accredit_service.abilities.policy.methods import METHODS
from accredit_service.abilities.policy.permissions import Action
from accredit_service.interceptors.errors import CODES
from accredit_service.interceptors.limits import LEAST_TIME, MESSAGE_LIMIT, METADATA_LIMIT
from accredit_service.settings import CLIENT_VARIABLES, SETTINGS, load
from accredit_storage import engine
from tests.docs.pages import DOCS, README, ROOT, anchors, links, pages, rows
from tests.server import MODULES
from tools import pages as made

ERRORS = DOCS / "errors.md"
OPERATIONS = DOCS / "operations.md"
CLIENTS = DOCS / "clients.md"

# Functions that refuse with the reason they are given, by the code of `invalid`.
_AS_INVALID = {"invalid", "clean_slug", "name", "enum_of"}
# Functions that refuse with the reason they are given, by the code of NotFound.
_AS_NOT_FOUND = {"require_active"}
# Functions that tell the reason in an answer, where it makes no status.
_IN_ANSWERS = {"skipped"}


def test_what_is_made_from_the_code_is_current() -> None:
    for path, text in made.pages().items():
        assert path.read_text() == text, f"{path} is not current: run make docs"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page}: {path}"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(target), f"{page}: {path}#{anchor}"


def test_the_recipes_name_files_that_there_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`([\w./]+(?:\.py|\.proto|\.md|/))`", text))
    assert len(named) > 20
    for name in named:
        assert next(ROOT.glob(f"**/{name.rstrip('/')}"), None) is not None, name


def test_every_page_is_reached_from_the_readme() -> None:
    reached, ahead = set[Path](), [README]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            ahead += [(page.parent / path).resolve() for path, _ in links(page) if path]
    assert {page for page in pages() if page.is_relative_to(DOCS)} <= reached


def test_every_call_is_in_the_table_of_permissions() -> None:
    calls = {
        f"{service.name}/{method.name}"
        for module in MODULES
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert calls == set(METHODS)
    listed = [row[0] for row in rows(DOCS / "permissions.md")]
    assert listed == [*(f"`{call}`" for call in METHODS), *(f"`{one}`" for one in Action)]


def test_every_reason_is_explained_once_with_its_code() -> None:
    names = (name for name, number in errors_pb2.ErrorReason.items() if number)
    reasons = {name.removeprefix("ERROR_REASON_") for name in names}
    assert reasons == set(Reason)
    explained = [row for row in rows(ERRORS) if len(row) == 4]
    assert sorted(row[0].strip("`") for row in explained) == sorted(reasons)
    for reason, code, meaning, advice in explained:
        assert code.strip("`") in grpc.StatusCode.__members__, reason
        assert meaning.endswith("."), reason
        assert advice.endswith("."), reason


def test_every_reason_has_the_code_that_it_is_raised_with() -> None:
    raised = _raised()
    assert set(raised) == set(Reason), "a reason that nothing raises"
    documented = defaultdict(set)
    for row in rows(ERRORS):
        if len(row) == 4:
            documented[row[0].strip("`")].add(row[1].strip("`"))
    assert raised == documented


def test_every_reason_has_the_code_that_the_contract_says() -> None:
    text = (ROOT / "protos/accredit/v1/errors.proto").read_text()
    said = re.findall(r"// ([A-Z_]+): [^\n]*\n(?:  //[^\n]*\n)*  ERROR_REASON_(\w+) =", text)
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows(ERRORS) if len(row) == 4}
    assert {reason: code for code, reason in said} == documented


def test_every_decision_is_explained() -> None:
    decisions = {name.removeprefix("DECISION_") for name, _ in types_pb2.Decision.items()}
    text = ERRORS.read_text().split("\n## Decisions\n", 1)[1]
    explained = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", text, re.MULTILINE)
    assert {name for name, _ in explained} == decisions - {"UNSPECIFIED", "ALLOWED"}
    unauthenticated = {
        types_pb2.Decision.Name(one).removeprefix("DECISION_") for one in _verdicts._UNAUTHENTICATED
    }
    assert {name for name, code in explained if code == "UNAUTHENTICATED"} == unauthenticated


def test_the_guards_own_reasons_are_explained() -> None:
    text = (ROOT / "clients/python/accredit/_verdicts.py").read_text()
    own = set(re.findall(r'"([A-Z]+_[A-Z_]+)"', text)) - {reason.value for reason in Reason}
    section = ERRORS.read_text().split("\n## What the guard adds\n", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == own


def test_every_setting_is_in_the_table() -> None:
    listed = [row[1].strip("`") for row in rows(OPERATIONS) if row[0].startswith("`--")]
    assert listed == [setting.variable for setting in SETTINGS.values()]


def test_the_settings_file_of_the_page_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
    url = tmp_path / "url"
    url.write_text("postgresql://accredit@localhost/accredit")
    url.chmod(0o640)
    file = tmp_path / "accredit.toml"
    file.write_text(text.replace("/run/secrets/accredit-database-url", str(url)))
    settings = load({}, {}, file)
    assert settings.listen.port == 50051
    settings_named = set(re.findall(r"^(\w+) =", text, re.MULTILINE))
    assert settings_named <= set(SETTINGS)


@pytest.mark.parametrize(
    "sentence",
    [
        f"A request has at most {MESSAGE_LIMIT >> 20} MiB, its metadata {METADATA_LIMIT >> 10} KiB",
        f"less than {LEAST_TIME * 1000:.0f} ms left of its deadline",
        f"| {pools.WAITING} × `threads` |",
        f"connection {engine.POOL_WAIT:g} s, for a lock {engine.LOCK_WAIT:g} s, "
        f"for one statement {engine.STATEMENT_TIME:g} s",
        f"Waiting is bounded: for a connection {engine.POOL_WAIT:g} s",
    ],
)
def test_bounds_that_are_no_settings_are_said_as_they_are(sentence: str) -> None:
    assert sentence in " ".join(OPERATIONS.read_text().split())


def test_every_command_of_the_server_is_explained() -> None:
    explained = {row[0].strip("`") for row in rows(OPERATIONS) if row[0].startswith("`accredit-s")}
    assert explained == {f"accredit-server {name}" for name in cli.main.commands}


def test_every_command_of_the_client_is_explained() -> None:
    explained = set()
    for row in rows(CLIENTS):
        if row[0].startswith("`accredit "):
            first, *others = re.findall(r"`([^`]+)`", row[0])
            group = first.rpartition(" ")[0]
            explained |= {first, *(f"{group} {other}" for other in others)}
    assert explained == set(_commands(command_line, "accredit"))


def test_the_exit_codes_are_those_of_the_command() -> None:
    explained = {row[0] for row in rows(CLIENTS) if row[0].isdigit()}
    assert explained == {str(code.value) for code in ExitCode}


def test_the_variables_of_the_client_are_all_there() -> None:
    explained = {row[0].strip("`") for row in rows(CLIENTS) if row[0].startswith("`ACCREDIT_")}
    assert explained == CLIENT_VARIABLES


def test_what_the_pages_say_of_python_exists() -> None:
    text = "".join(page.read_text() for page in (README, CLIENTS, ERRORS))
    for name in set(re.findall(r"\baccredit\.([A-Za-z_]\w*)", text)) - {"v1", "git", "example"}:
        assert hasattr(accredit, name), name
    for name in re.findall(r"\baccredit\.aio\.(\w+)", text):
        assert hasattr(accredit.aio, name), name


def test_the_containers_use_settings_that_there_are() -> None:
    for file in (ROOT / "Dockerfile", ROOT / "compose.yaml"):
        named = set(re.findall(r"\bACCREDIT_[A-Z_]+", file.read_text()))
        # Compose's own, for a password that stands in two places.
        assert named - {"ACCREDIT_DATABASE_PASSWORD"} <= {one.variable for one in SETTINGS.values()}
        assert named


def test_the_image_is_made_from_files_that_there_are() -> None:
    text = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    sources = {name for line in copied for name in line.split()}
    assert sources
    for name in sources:
        assert (ROOT / name).exists(), name
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert sources == {line[1:] for line in ignored if line.startswith("!")}


def test_both_distributions_carry_the_licence() -> None:
    assert (ROOT / "LICENSE").read_bytes() == (ROOT / "clients/python/LICENSE").read_bytes()


def _commands(command: click.Command, name: str) -> Iterator[str]:
    """Every command that does something, as one would write it."""
    if not isinstance(command, click.Group):
        yield name
        return
    takes_agent = any(isinstance(one, click.Argument) for one in command.params)
    named = f"{name} AGENT" if takes_agent else name
    for child, inner in command.commands.items():
        yield from _commands(inner, f"{named} {child}")


def _raised() -> dict[str, set[str]]:
    """With which codes each reason is raised, as far as the source says so by itself."""
    codes = {kind.__name__: code.name for kind, code in CODES.items()}
    codes |= dict.fromkeys(_AS_INVALID, "INVALID_ARGUMENT")
    codes |= dict.fromkeys(_AS_NOT_FOUND, "NOT_FOUND")
    found = defaultdict(set)
    for file in (ROOT / "service/accredit_service").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = node.func
                name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                for reason in filter(None, map(_reason, arguments)):
                    if name in _IN_ANSWERS:
                        continue
                    code = codes.get(name)
                    if name == "Failure" and isinstance(node.args[0], ast.Attribute):
                        code = node.args[0].attr
                    assert code, f"{file}:{node.lineno}: what status does {name} make?"
                    found[reason].add(code)
    return found


def _reason(argument: ast.expr) -> str | None:
    is_reason = (
        isinstance(argument, ast.Attribute)
        and isinstance(argument.value, ast.Name)
        and argument.value.id == "Reason"
    )
    return argument.attr if is_reason and isinstance(argument, ast.Attribute) else None
