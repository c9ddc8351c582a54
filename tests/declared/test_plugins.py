"""Packages with entry points: real ones, installed into a folder on the path."""

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from accredit_service import plugins
from accredit_service.abilities.extensions.declarations import Declarations, Origin
from accredit_service.abilities.extensions.generators import ScaffoldContext, content
from accredit_storage.records import MemoryLayer
from tests.declared.declaring import agent, agent_file, listed, outcomes, reconcile
from tests.server import Server

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package: its module, and its entry points by group."""

    def install(module: str, text: str, **groups: Mapping[str, str]) -> Path:
        folder = tmp_path / f"site-{module}"
        information = folder / f"{module}-1.0.dist-info"
        information.mkdir(parents=True)
        (folder / f"{module}.py").write_text(dedent(text))
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n"
        )
        lines = []
        for group, points in groups.items():
            lines.append(f"[accredit.{group}]")
            lines += [f"{name} = {module}:{target}" for name, target in points.items()]
        (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(folder)
        # The same package may have been installed elsewhere by the test before.
        monkeypatch.delitem(sys.modules, module, raising=False)
        return folder

    return install


def use(server: Server, loaded: plugins.Plugins) -> None:
    """Have the server start anew with what the packages have brought."""
    declarations = Declarations(
        packages=loaded.definitions,
        notices=loaded.notices,
        owner_resolvers=loaded.owner_resolvers,
    )
    object.__setattr__(server.app, "declarations", declarations)
    generators = [*server.app.generators, *loaded.generators]
    object.__setattr__(server.app, "generators", generators)


def test_an_installed_package_declares_agents(server: Server, install: Install) -> None:
    folder = install(
        "wiki_package",
        """
        from pathlib import Path

        def declare(registrar):
            registrar.register(
                "Wiki Generator",
                label="Wiki",
                description="Writes articles.",
                memory_seeds={"SOUL.md": Path(__file__).with_name("soul.md")},
                default_config={"model": "m"},
                meta={"team": "docs"},
            )
        """,
        agents={"wiki": "declare"},
    )
    (folder / "soul.md").write_text("Be a wiki.\n")
    loaded = plugins.load()
    assert loaded.notices == []
    use(server, loaded)
    (one,) = listed(server)
    assert (one.agent_slug, one.source, one.origin) == ("wiki-generator", "wiki", 2)
    assert [(seed.filename, seed.size) for seed in one.memory_seeds] == [("SOUL.md", 11)]
    assert outcomes(reconcile(server.admin)) == [("wiki-generator", "CREATED")]
    made = agent(server, "wiki-generator")
    assert dict(made.config) == {"model": "m", "description": "Writes articles."}
    assert agent_file(server, "wiki-generator", "SOUL.md").read_text() == "Be a wiki.\n"


def test_they_are_called_by_priority_and_then_by_name_and_the_last_wins(
    install: Install, server: Server
) -> None:
    install(
        "several",
        """
        def z(registrar): registrar.register("agent", label="z")
        def a(registrar): registrar.register("agent", label="a")
        def late(registrar):
            registrar.register("agent", label="first try")
            registrar.register("agent", label="late")
        late.priority = 20
        def early(registrar): registrar.register("agent", label="early")
        early.priority = 5
        """,
        agents={"z": "z", "a": "a", "a-late": "late", "z-early": "early"},
    )
    loaded = plugins.load()
    assert [one.source for one in loaded.definitions] == ["z-early", "a", "z", "a-late", "a-late"]
    assert [one.priority for one in loaded.definitions] == [5, 10, 10, 20, 20]
    use(server, loaded)
    (one,) = listed(server)
    assert (one.label, list(one.overrides)) == ("late", ["z-early", "a", "z", "a-late"])


def test_a_suppressed_one_is_not_even_loaded(install: Install) -> None:
    install("explosive", "raise RuntimeError('imported')", agents={"bang": "declare"})
    assert plugins.load({"bang"}).notices == []


def test_one_that_fails_is_told_of_and_passed_over(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("explosive", "raise RuntimeError('imported')", agents={"a-bang": "declare"})
    install(
        "halfway",
        """
        def declare(registrar):
            registrar.register("half")
            raise ValueError("and no more")
        """,
        agents={"b-half": "declare"},
    )
    install("whole", "def declare(r): r.register('whole')", agents={"c-whole": "declare"})
    install("nothing", "declare = 7", agents={"d-nothing": "declare"})
    loaded = plugins.load()
    assert [one.slug for one in loaded.definitions] == ["whole"]
    bang, half, nothing = sorted(loaded.notices)
    assert bang == "a-bang: cannot be loaded: RuntimeError('imported')"
    assert half == "b-half: failed, and declares nothing: ValueError('and no more')"
    assert nothing == "d-nothing: cannot be loaded: TypeError('it cannot be called')"
    assert [one.levelno for one in caplog.records if one.exc_info].count(logging.ERROR) >= 2


def registrar() -> plugins.AgentRegistrar:
    return plugins.AgentRegistrar("pkg", 10)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        pytest.param({"slug": ""}, "agent_slug: a slug", id="no slug"),
        pytest.param({"slug": 7}, "slug: a text", id="a slug that is no text"),
        pytest.param({"label": None}, "label: a text", id="a label that is no text"),
        pytest.param({"description": 7}, "description: a text", id="no description"),
        pytest.param({"memory_seeds": ["SOUL.md"]}, "memory_seeds: a mapping", id="no map"),
        pytest.param({"memory_seeds": {"SOUL.md": 7}}, "memory_seeds: a mapping", id="no path"),
        pytest.param({"owner_resolver": 7}, "owner_resolver: something", id="not callable"),
        pytest.param(
            {"owner": 7, "owner_resolver": print}, "owner_resolver: nothing", id="two owners"
        ),
        pytest.param({"owner": True}, "owner: the id", id="no owner"),
        pytest.param({"owner": 0}, "owner: the id", id="no id"),
        pytest.param({"owner": 2**63}, "owner: the id", id="an id too large"),
        pytest.param({"owner": ""}, "owner: the id", id="no login"),
        pytest.param({"owner": "a\0"}, "owner: the id", id="a NUL"),
        pytest.param({"owner": "\ud800"}, "owner: the id", id="a login that is not Unicode"),
        pytest.param({"default_config": []}, "default_config: a mapping", id="a list"),
        pytest.param({"meta": "x"}, "meta: a mapping", id="a text"),
        pytest.param({"meta": {"at": object()}}, "meta: an object", id="not JSON"),
        pytest.param({"meta": {"a": "\ud800"}}, "meta: an object", id="not Unicode"),
        pytest.param({"default_config": {"n": 2**53}}, "default_config: no integer", id="2^53"),
        pytest.param(
            {"default_config": {"n": float("nan")}}, "default_config: finite", id="not a number"
        ),
    ],
)
def test_what_is_not_as_it_should_be_is_rejected_with_a_notice(
    fields: dict[str, object], rule: str
) -> None:
    one = registrar()
    given: dict[str, object] = {"slug": "scribe", **fields}
    assert one.register(**given) is None  # type: ignore[arg-type]
    assert one.definitions == []
    (notice,) = one.notices
    assert notice.startswith("pkg: ")
    assert rule in notice
    assert notice.endswith(": rejected")


def test_what_is_not_known_is_left_out_with_a_notice() -> None:
    one = registrar()
    definition = one.register("scribe", category="text")
    assert definition is not None
    assert one.notices == ["pkg: 'scribe': category: not known, and left out"]


def test_a_registered_definition_is_answered_clean(tmp_path: Path) -> None:
    (tmp_path / "seed").write_text("text")
    definition = registrar().register(
        " Wiki Gen ",
        memory_seeds={"../SOUL.md": str(tmp_path / "seed"), "": tmp_path / "seed", "MEMORY.md": ""},
        default_config={"n": 1, 2: (3.0,)},  # type: ignore[dict-item]
    )
    assert definition is not None
    assert (definition.slug, definition.label) == ("wiki-gen", "wiki-gen")
    assert dict(definition.memory_seeds) == {"SOUL.md": "text"}
    assert definition.default_config == {"n": 1, "2": [3]}
    assert (definition.origin, definition.source) == (Origin.ENTRY_POINT, "pkg")


def test_a_seed_that_cannot_be_read_falls_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "relative.md").write_text("where the server happens to be started")
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "large").write_bytes(b"x" * (4 * 1024 * 1024 + 1))
    one = registrar()
    seeds: dict[str, str | Path] = {"A.md": tmp_path / "none", "B.md": tmp_path / "binary"}
    seeds |= {"C.md": "relative.md", "D.md": tmp_path}
    definition = one.register("scribe", memory_seeds=seeds)
    assert definition is not None
    assert dict(definition.memory_seeds) == {}
    assert [notice[:30] for notice in one.notices] == [
        f"pkg: 'scribe': memory_seeds: {letter}" for letter in "ABCD"
    ]
    assert one.register("large", memory_seeds={"SOUL.md": tmp_path / "large"}) is None


def test_an_owner_resolver_of_a_package_is_loaded_when_it_is_asked(
    server: Server, install: Install
) -> None:
    ann = server.user(login="ann")
    install(
        "teams",
        f"""
        def by_team(slug):
            return {ann.user_id} if slug == "hers" else None
        """,
        owner_resolvers={"by-team": "by_team", "gone": "nothing_of_the_kind"},
    )
    loaded = plugins.load()
    assert loaded.notices == []
    use(server, loaded)
    for slug in ("hers", "nobodys"):
        server.admin.call(
            "RegistryService/RegisterAgent", agent_slug=slug, owner_resolver="by-team"
        )
    server.admin.call("RegistryService/RegisterAgent", agent_slug="x", owner_resolver="gone")
    assert outcomes(reconcile(server.admin)) == [
        ("hers", "CREATED"),
        ("nobodys", "CREATED"),
        ("x", "SKIPPED AGENT_OWNER_NOT_FOUND"),
    ]
    assert agent(server, "hers").owner_id == ann.user_id
    assert agent(server, "nobodys").owner_id == server.admin.user_id


def test_a_package_may_change_what_starter_files_begin_with(install: Install) -> None:
    install(
        "kit",
        """
        def sign(context, text):
            return f"{text}-- {context.filename}"
        def before(context, text):
            return "early "
        before.priority = 4
        """,
        scaffold={"sign": "sign", "before": "before"},
    )
    generators = plugins.load().generators
    assert [(one.name, one.priority) for one in generators] == [("before", 4), ("sign", 20)]
    context = ScaffoldContext(filename="SOUL.md", layer=MemoryLayer.AGENT, seeds={})
    assert content(generators, context) == "early -- SOUL.md\n"


def test_a_notice_can_be_sent_whatever_it_quotes(server: Server) -> None:
    one = registrar()
    one.register("scribe", memory_seeds={"\ud800": "relative"}, **{"\ud800" * 9999: 1})  # type: ignore[arg-type]
    server.app.declarations.replace_manifests([], one.notices)
    answer = server.admin.call("RegistryService/ListAgentDefinitions")
    assert [len(notice) <= 500 for notice in answer.notices] == [True, True]


def test_a_priority_that_is_no_number_is_told_of(install: Install) -> None:
    install(
        "odd",
        """
        def declare(registrar): registrar.register("odd")
        declare.priority = "high"
        """,
        agents={"odd": "declare"},
    )
    loaded = plugins.load()
    assert [one.priority for one in loaded.definitions] == [10]
    assert loaded.notices == ["odd: priority: a whole number; 10 is taken"]
