import pytest

from accredit.manifests import read_text
from tests.manifests.reading import markdown, only, said


def test_a_role_as_people_keep_them() -> None:
    manifests = markdown(
        "---\n"
        "name: sql-pro\n"
        "description: Master SQL. Use PROACTIVELY.\n"
        "model: inherit\n"
        "tools: Read, Write, Bash\n"
        "color: blue\n"
        "---\n"
        "\n"
        "You are an expert.\n",
        "database/sql.md",
    )
    definition = only(manifests)
    assert manifests.problems == ()
    assert definition.slug == definition.label == "sql-pro"
    assert definition.description == "Master SQL. Use PROACTIVELY."
    assert definition.memory_seeds == {"SOUL.md": "\nYou are an expert.\n"}
    assert definition.default_config == {
        "model": "inherit",
        "tools": "Read, Write, Bash",
        "color": "blue",
    }
    assert (definition.file, definition.line) == ("database/sql.md", 1)


def test_the_fields_of_the_yaml_form_mean_the_same() -> None:
    definition = only(
        markdown(
            "---\n"
            "name: Someone\n"
            "slug: someone-else\n"
            "label: Some  one\n"
            "owner: 7\n"
            "priority: 3\n"
            "meta: {team: a}\n"
            "memory_seeds: {USER.md: {text: You.}}\n"
            "default_config: {model: sonnet, depth: 2}\n"
            "model: opus\n"
            "---\n"
            "body"
        )
    )
    assert (definition.slug, definition.label) == ("someone-else", "Some one")
    assert (definition.owner, definition.priority) == (7, 3)
    assert definition.meta == {"team": "a"}
    assert definition.memory_seeds == {"USER.md": "You.", "SOUL.md": "body"}
    assert definition.default_config == {"model": "opus", "depth": 2}


@pytest.mark.parametrize(
    ("text", "slug", "label"),
    [
        ("---\nname: 007\n---\nx", "007", "007"),
        ("---\nname: true\n---\nx", "true", "true"),
        ("---\nname:\nslug: a\n---\nx", "a", ""),
        ("---\nname: b\nslug:\nlabel: ''\n---\nx", "b", "b"),
        ("---\nname: Ünïcode Ω\n---\nx", "Ünïcode Ω", "Ünïcode Ω"),
    ],
)
def test_names(text: str, slug: str, label: str) -> None:
    manifests = markdown(text)
    definition = only(manifests)
    assert (definition.slug, definition.label) == (slug, label)
    assert manifests.problems == ()


@pytest.mark.parametrize("block", ["", "model: opus\n", "name:\n", "name: ' '\nslug: \n"])
def test_without_a_name_it_is_the_files(block: str) -> None:
    manifests = markdown(f"---\n{block}---\nbody", "roles/écrivain.v2.md")
    assert (only(manifests).slug, only(manifests).label) == ("écrivain.v2", "")
    assert said(manifests) == [
        "roles/écrivain.v2.md:1: name: there is none: the file's name is the slug"
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("# Role\r\n\r\n--- \r\n", " ---\nname: a\n---\n", "----\n", "x"),
        *("---", "---\n", "---\nname: a\n ---\nbody", "---\n# Role\n\nYou: are.\n"),
        *("---\nOnce upon a time\n---\nbody", "---\n- a\n---\nbody", "---\n# Role\n---\nbody"),
        *("---\nOnce.\nNote: this\n---\nbody", "---\n{{ role }}\n---\nbody"),
        "---\n" + "Once upon a time.\n" * 20_000 + "---\nbody",
    ],
)
def test_without_front_matter_the_whole_text_is_the_soul(text: str) -> None:
    manifests = markdown(text, "a/role one.md")
    assert only(manifests).slug == "role one"
    assert only(manifests).memory_seeds == {"SOUL.md": text}
    assert said(manifests) == ["a/role one.md:1: no front matter: the file's name is the slug"]


@pytest.mark.parametrize("name", ["README.md", "a/license.MD", "Changelog.md", "CONTRIBUTING.md"])
def test_what_is_about_the_roles_is_none_unless_it_has_front_matter(name: str) -> None:
    manifests = markdown("# About\n", name)
    assert not manifests.definitions
    assert not manifests.errors
    assert len(manifests.notices) == 1
    assert only(markdown("---\nname: a\n---\nbody", name)).slug == "a"


@pytest.mark.parametrize("body", ["", "\n", " \r\n\t\n"])
def test_a_blank_body_is_no_seed_and_noticed(body: str) -> None:
    manifests = markdown(f"---\nname: a\n---\n{body}")
    assert only(manifests).memory_seeds == {}
    assert said(manifests) == ["role.md:1: nothing below the front matter: no seed for SOUL.md"]
    seeded = markdown(f"---\nname: a\nmemory_seeds: {{SOUL.md: {{text: x}}}}\n---\n{body}")
    assert only(seeded).memory_seeds == {"SOUL.md": "x"}
    assert seeded.problems == ()


def test_a_body_counts_before_a_seed_of_its_name() -> None:
    manifests = markdown("---\nname: a\nmemory_seeds: {SOUL.md: {text: x}}\n---\nbody")
    assert only(manifests).memory_seeds == {"SOUL.md": "body"}
    assert said(manifests) == ["role.md:3: memory_seeds.SOUL.md: the body counts"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("opening", ["---", "--- \t", "\ufeff---"])
@pytest.mark.parametrize("closing", ["---", "...", "---\t ", "... "])
def test_every_way_to_mark_a_front_matter(end: str, opening: str, closing: str) -> None:
    body = f"{end}One{end}---{end}two: three{end}"
    text = end.join((opening, "name: a", "tools:", "- b", closing)) + end + body
    manifests = markdown(text)
    assert only(manifests).slug == "a"
    assert only(manifests).default_config == {"tools": ["b"]}
    assert only(manifests).memory_seeds == {"SOUL.md": body}
    assert manifests.problems == ()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "role.md:1: the file is empty"),
        ("\ufeff \r\n", "role.md:1: the file is empty"),
    ],
)
def test_an_error_names_file_line_and_field(text: str, error: str) -> None:
    manifests = markdown(text)
    assert manifests.definitions == ()
    assert str(manifests.errors[0]).startswith(error)


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ('Use this when: the user says "x: y"', 'Use this when: the user says "x: y"'),
        ("[WIP] Reviews code", "[WIP] Reviews code"),
        ("*important* work", "*important* work"),
        ("`code` and @mentions", "`code` and @mentions"),
        ('"He said "no": twice"', 'He said "no": twice'),
        ("'it's: mine'", "it's: mine"),
        ("One.\n  Two: three: four\n\n\tFive.", "One.\nTwo: three: four\n\nFive."),
        ("One: 1.\nbare line\nhttp://two", "One: 1.\nbare line\nhttp://two"),
        (">-\nnot indented", "not indented"),
    ],
)
def test_what_is_not_yaml_is_read_as_text_and_noticed(lines: str, value: str) -> None:
    manifests = markdown(
        f"---\nname: a\r\npriority: 3\ndescription: {lines}\ntools: [b]\n---\nbody"
    )
    definition = only(manifests)
    assert definition.description == value
    assert (definition.slug, definition.priority) == ("a", 3)
    assert definition.default_config["tools"] == ["b"]
    (notice,) = manifests.notices
    assert (notice.line, notice.field) == (4, "description")
    assert notice.message.endswith("so read as text")


def test_a_dialogue_at_the_margin_is_kept() -> None:
    definition = only(
        markdown("---\nname: a\ndescription: when: so\nuser: b\nassistant: c\nuser: d\n---\nx")
    )
    assert definition.default_config == {"user": "b", "assistant": "c\nuser: d"}


def test_a_list_that_is_not_yaml_is_a_list_of_texts() -> None:
    manifests = markdown('---\nname: a\ntools:\n  - b: c: d\n- @e\n  -\n  - "f"\n---\nx')
    assert only(manifests).default_config == {"tools": ["b: c: d", "@e", "", "f"]}
    assert [(one.line, one.field) for one in manifests.notices] == [(3, "tools")]


def test_keys_that_are_yaml_one_by_one_are_read_so() -> None:
    manifests = markdown(
        "---\n# a role\nname: a\n'model': @b\n\"tools\" : 1\nx: {y: [null]}\n---\nbody"
    )
    assert only(manifests).default_config == {"model": "@b", "tools": 1, "x": {"y": [None]}}


def test_what_only_the_whole_of_it_makes_malformed_is_noticed_too() -> None:
    manifests = markdown("---\nname: a\n...x\n\tb: c\n---\nbody")
    assert not manifests.errors
    assert manifests.notices


def test_bytes_that_are_no_text_are_refused_by_line() -> None:
    for content, message in (
        (b"---\nname: a\n---\nbody \xff\n", "role.md:4: not UTF-8"),
        ("---\nname: ä\n---\n".encode("latin-1"), "role.md:2: not UTF-8"),
        ("---\nname: a\n---\n".encode("utf-16"), "role.md:1: not UTF-8"),
        (b"---\nname: a\n---\n\nbody\0\n", "role.md:5: no NUL character"),
    ):
        assert said(read_text("role.md", content)) == [message]
