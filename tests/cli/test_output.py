import json

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from accredit.cli import output
from accredit.cli.documents import struct
from accredit.cli.output import cell_at, column, columns, is_unsafe, json_form, printable, safe_json
from accredit.cli.session import Session
from accredit.v1 import agent_pb2, auth_pb2, site_pb2, token_pb2, types_pb2

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def shown(format: str, capsys: pytest.CaptureFixture[str], *sites: site_pb2.Site) -> str:
    session = Session()
    session.format = format
    output.show_list(session, sites, columns("site_id", "site_name"))
    return capsys.readouterr().out


@given(ANY_TEXT)
def test_nothing_unsafe_is_left_and_nothing_safe_is_changed(text: str) -> None:
    assert not any(is_unsafe(character) for character in printable(text))
    if not any(is_unsafe(character) for character in text):
        assert printable(text) == text


@given(ANY_TEXT)
def test_json_means_the_same_with_everything_unsafe_escaped(text: str) -> None:
    document = safe_json(json.dumps({text: text}, ensure_ascii=False))
    assert not any(is_unsafe(character) for character in document if character != "\n")
    assert json.loads(document) == {text: text}


@given(st.lists(ANY_TEXT, max_size=3))
def test_yaml_means_the_same_with_everything_unsafe_escaped(texts: list[str]) -> None:
    document = output.yaml_text({"texts": texts})
    assert not any(is_unsafe(character) for character in document if character != "\n")
    assert YAML(typ="safe").load(document) == {"texts": texts}


def test_names_are_escaped_in_a_table_and_kept_in_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "a\x1b[31m\nb\x9b\u202e\U000e0041"
    site = site_pb2.Site(site_id=1, site_name=name)
    assert shown("table", capsys, site).splitlines()[1] == (
        "1        a\\x1b[31m\\nb\\x9b\\u202e\\U000e0041"
    )
    assert shown("csv", capsys, site) == f'site_id,site_name\n1,"{name}"\n'
    assert json.loads(shown("json", capsys, site))[0]["siteName"] == name
    assert YAML(typ="safe").load(shown("yaml", capsys, site))[0]["siteName"] == name


def test_a_list_of_several_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    sites = [site_pb2.Site(site_id=number, site_name="x" * 200) for number in (1, 2, 3)]
    assert len(json.loads(shown("json", capsys, *sites))) == 3
    assert len(YAML(typ="safe").load(shown("yaml", capsys, *sites))) == 3


def test_ids_are_texts_in_the_json_form_and_nothing_is_left_out() -> None:
    form = json_form(site_pb2.Site(site_id=2**53 + 1))
    assert form["siteId"] == "9007199254740993"
    assert form["siteName"] == ""


def test_integers_of_a_config_stay_integers() -> None:
    made = struct({"one": 1, "half": 0.5, "large": 1e300, "list": [2, {"deep": 3}]})
    assert made is not None
    text = json.dumps(json_form(made))
    assert "1.0" not in text
    assert '"deep": 3}' in text
    assert "1e+300" in text


def test_cells_are_what_people_call_things() -> None:
    agent = agent_pb2.Agent(agent_id=1, status=agent_pb2.AGENT_STATUS_ACTIVE)
    agent.create_time.FromJsonString("2026-12-31T01:02:03.456Z")
    agent.config.CopyFrom(Struct())
    assert cell_at(agent, "agent_id") == "1"
    assert cell_at(agent, "owner_id") == ""
    assert cell_at(agent, "status") == "active"
    assert cell_at(agent, "site_scope") == ""
    assert cell_at(agent, "create_time") == "2026-12-31T01:02:03Z"
    assert cell_at(agent, "update_time") == ""
    assert cell_at(agent, "config") == "{}"
    assert cell_at(auth_pb2.WhoAmIResponse(), "agent.agent_slug") == ""
    assert cell_at(token_pb2.Token(act_as_owner=True), "act_as_owner") == "true"
    principal = types_pb2.Principal(capabilities=["chat", "audit"])
    assert cell_at(principal, "capabilities") == "chat audit"
    assert column("principal.login", "who").name == "who"


def test_a_member_of_a_newer_enum_is_shown_as_its_number() -> None:
    newer = agent_pb2.Agent()
    newer.MergeFromString(b"\x30\x63")
    assert cell_at(newer, "status") == "99"
