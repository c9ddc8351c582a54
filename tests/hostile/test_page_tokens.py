"""A page token goes on with exactly the list that it came from, for exactly its caller."""

import base64
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.scenes import Scene
from tests.hostile.wire import Wire
from tests.server import Person, Server, running_server

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass(frozen=True)
class List:
    """A list that has several pages, and the same one filtered in another way."""

    method: str
    fields: dict[str, Any]
    otherwise: dict[str, Any]


def lists(scene: Scene) -> Iterator[List]:
    agent = {"agent_id": scene.agent_id}
    guest = scene.guest.ref
    yield List("AgentService/ListAgents", {"scope": 2}, {"scope": 2, "text": "agent"})
    yield List("AccessService/ListAgentAccess", {"agent": agent}, {"agent": scene.own_agent()})
    yield List("AccessService/ListUserAccess", guest, scene.member.ref)
    yield List("AgentService/ListTransferOffers", guest, scene.member.ref)
    agents = [agent, scene.own_agent(), scene.own_agent()]
    yield List("AgentService/BatchGetAgents", {"agents": agents}, {"agents": agents[1:]})
    yield List("TokenService/ListTokens", {"agent": agent}, {"agent": agent, "show_inactive": True})
    yield List("UserService/ListUsers", {}, {"active": True})
    yield List("SiteService/ListSites", {}, {"consistency": {"fully_consistent": True}})
    yield List("ChangeService/ListChanges", {}, {"newest_first": True})
    directory = {"directory": {"agent": agent}}
    yield List("DirectoryService/ListFiles", directory, {**directory, "folder": "daily"})
    freshest = {"consistency": {"fully_consistent": True}}
    yield List("RegistryService/ListAgentDefinitions", {}, freshest)
    yield List("RegistryService/ListMemoryFileTypes", {}, freshest)
    yield List("DirectoryService/ListDailyMemory", {"agent": agent}, {"agent": scene.own_agent()})


@pytest.fixture(scope="module")
def all_lists(scene: Scene) -> dict[str, List]:
    """Every list that the contract has, each with a second page at least."""
    for _ in range(2):
        agent_id = scene.own_agent()["agent_id"]
        scene.server.grant(agent_id, scene.guest)
        scene.server.agent_token(scene.member, scene.agent_id)
        scene._site()
        scene.own_offer(scene.guest)
        scene.own_definition()
        scene.own_memory_file_type()
    for month in ("01", "02"):
        scene.own_file(f"daily/2026/{month}/28.md")
    return {one.method: one for one in lists(scene)}


def first_page(person: Person, one: List) -> str:
    token = person.call(one.method, page_size=1, **one.fields).next_page_token
    assert token
    return str(token)


def is_refused(person: Person, one: List, token: str, **fields: Any) -> bool:
    refusal = person.refused(one.method, page_token=token, **(fields or one.fields))
    return refusal.what == "INVALID_ARGUMENT PAGE_TOKEN_INVALID" and list(refusal.fields) == [
        "page_token"
    ]


def test_every_list_is_tested_here(besieged: Server, all_lists: dict[str, List]) -> None:
    paged = {
        name
        for name, method in besieged.methods.items()
        if "page_size" in method.input_type.fields_by_name
    }
    assert set(all_lists) == paged


def test_it_goes_on_whatever_the_size_of_the_next_page(
    besieged: Server, all_lists: dict[str, List]
) -> None:
    for one in all_lists.values():
        token = first_page(besieged.admin, one)
        for size in (0, 1, 500, 2**31 - 1):
            besieged.admin.call(one.method, page_size=size, page_token=token, **one.fields)


def test_every_altered_character_is_refused(besieged: Server, all_lists: dict[str, List]) -> None:
    for one in all_lists.values():
        token = first_page(besieged.admin, one)
        for place, character in enumerate(token):
            other = ALPHABET[ALPHABET.index(character) ^ 1]
            bent = token[:place] + other + token[place + 1 :]
            assert is_refused(besieged.admin, one, bent), (one.method, token, bent)


@pytest.mark.parametrize(
    "bend",
    [
        pytest.param(lambda token: token[:-1], id="cut"),
        pytest.param(lambda token: token[: len(token) // 2], id="half"),
        pytest.param(lambda token: token + "A", id="longer"),
        pytest.param(lambda token: token * 2, id="twice"),
        pytest.param(lambda token: token + "=" * (-len(token) % 4 or 4), id="padded"),
        pytest.param(lambda token: f" {token}", id="with-a-blank"),
        pytest.param(lambda token: f"{token}\n", id="with-a-newline"),
        pytest.param(lambda token: token.swapcase(), id="in-the-other-case"),
        pytest.param(lambda token: "é" + token[1:], id="not-ascii"),
        pytest.param(lambda token: f"{token}\0", id="with-a-nul"),
        pytest.param(lambda token: "x" * 1_000_000, id="a-million-characters"),
        pytest.param(lambda token: "null", id="null"),
        pytest.param(
            lambda token: base64.urlsafe_b64encode(bytes(16) + b"[1]").decode(), id="made-up"
        ),
        pytest.param(
            lambda token: base64.urlsafe_b64encode(bytes(16) + b"[" * 1400).decode(), id="nested"
        ),
    ],
)
def test_no_other_spelling_is_taken(
    besieged: Server, all_lists: dict[str, List], bend: Callable[[str], str]
) -> None:
    for one in all_lists.values():
        assert is_refused(besieged.admin, one, bend(first_page(besieged.admin, one)))


def test_it_fits_no_other_list(besieged: Server, all_lists: dict[str, List]) -> None:
    tokens = {name: first_page(besieged.admin, one) for name, one in all_lists.items()}
    for name, one in all_lists.items():
        for other, token in tokens.items():
            if other != name:
                assert is_refused(besieged.admin, one, token), (other, name)


def test_it_fits_no_other_filter(besieged: Server, all_lists: dict[str, List]) -> None:
    for one in all_lists.values():
        token = first_page(besieged.admin, one)
        if "consistency" in one.otherwise:
            # How fresh an answer must be does not say which list it is.
            besieged.admin.call(one.method, page_token=token, **one.otherwise)
        else:
            assert is_refused(besieged.admin, one, token, **one.otherwise), one.method


def test_it_fits_no_other_caller(
    besieged: Server, scene: Scene, all_lists: dict[str, List]
) -> None:
    # The member may make these calls as well, about the same things.
    for name in (
        "AccessService/ListAgentAccess",
        "TokenService/ListTokens",
        "SiteService/ListSites",
    ):
        token = first_page(besieged.admin, all_lists[name])
        scene.member.call(name, page_size=1, **all_lists[name].fields)
        assert is_refused(scene.member, all_lists[name], token)


def test_it_fits_no_other_store(
    besieged: Server,
    wire: Wire,
    all_lists: dict[str, List],
    sqlite_template: Path,
    tmp_path: Path,
) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "other.db")
    with running_server(f"sqlite:///{tmp_path / 'other.db'}", tmp_path) as other:
        with other.app.store.write() as tx:
            # As of a store that was made by itself and not copied.
            tx.renew_epoch()
        for name in ("UserService/ListUsers", "SiteService/ListSites", "ChangeService/ListChanges"):
            token = first_page(besieged.admin, all_lists[name])
            assert is_refused(other.admin, all_lists[name], token), name
