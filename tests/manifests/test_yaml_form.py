import pytest

from tests.manifests.reading import only, said, yaml


def test_a_definition_with_every_field() -> None:
    definition = only(
        yaml(
            "slug: Wiki Gen\n"
            "label: |\n  Wiki\n   Generator\n"
            "description: Writes.\n"
            "memory_seeds:\n  SOUL.md: {text: You write.}\n"
            "owner: 7\n"
            "default_config: {model: opus, limits: [1, 2.5, null, true]}\n"
            "meta: {team: docs}\n"
            "priority: -3\n"
        )
    )
    assert definition.slug == "Wiki Gen"
    assert definition.label == "Wiki Generator"
    assert definition.description == "Writes."
    assert definition.memory_seeds == {"SOUL.md": "You write."}
    assert definition.owner == 7
    assert definition.owner_resolver == ""
    assert definition.default_config == {"model": "opus", "limits": [1, 2.5, None, True]}
    assert definition.meta == {"team": "docs"}
    assert definition.priority == -3
    assert (definition.file, definition.line) == ("agents.yaml", 1)


def test_a_slug_is_enough() -> None:
    manifests = yaml("slug: a\nlabel:\nmemory_seeds:\nowner:\nowner_resolver:\nmeta:\n")
    definition = only(manifests)
    assert (definition.label, definition.description, definition.owner) == ("", "", None)
    assert (definition.memory_seeds, definition.default_config, definition.meta) == ({}, {}, {})
    assert definition.priority == 10
    assert manifests.problems == ()


def test_an_owner_is_an_id_or_a_login() -> None:
    assert only(yaml("{slug: a, owner: ada}")).owner == "ada"
    assert only(yaml("{slug: a, owner: '7'}")).owner == "7"
    assert only(yaml("{slug: a, owner_resolver: on-call}")).owner_resolver == "on-call"


def test_lists_and_documents_keep_their_order_and_their_lines() -> None:
    manifests = yaml(
        "---\nslug: a\n---\nagents:\n- slug: b\n-\n  slug: c\n---\n# none\n---\nslug: d\n"
    )
    assert [(one.slug, one.line) for one in manifests.definitions] == [
        ("a", 2),
        ("b", 5),
        ("c", 7),
        ("d", 11),
    ]
    assert manifests.problems == ()


def test_an_unknown_key_is_noticed_and_its_line_named() -> None:
    manifests = yaml("slug: a\ncolour: red\n")
    assert only(manifests).slug == "a"
    assert said(manifests) == [
        "agents.yaml:2: colour: not a field of a definition, so it is ignored"
    ]
    assert said(yaml("owner: 7\nagents: [{slug: a}]\n")) == [
        "agents.yaml:1: owner: not beside agents, so it is ignored"
    ]


def test_one_bad_definition_does_not_stop_the_others() -> None:
    manifests = yaml(
        "agents:\n"
        "- slug: a\n"
        "- slug: b\n  slug: c\n"
        "- {slug: d, priority: 1001}\n"
        "- {slug: e, meta: &x {}}\n"
        "- {slug: f, <<: {label: x}}\n"
        "- text\n"
        "- label: no slug\n"
        "- {slug: g, meta: !!set {}, owner: 1, owner_resolver: x}\n"
        "- slug: h\n"
        "---\n"
        "slug: i\n"
        "---\n"
        "slug: [\n"
    )
    assert [one.slug for one in manifests.definitions] == ["a", "h", "i"]
    assert [(problem.line, problem.field) for problem in manifests.errors] == [
        (4, "slug"),
        (5, "priority"),
        (6, "meta"),
        (7, "<<"),
        (8, ""),
        (9, "slug"),
        (10, "meta"),
        (10, "owner_resolver"),
        (16, ""),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "1: the file is empty"),
        ("# nothing\n---\n", "1: the file is empty"),
        ("text", "1: a map of fields is wanted here"),
        ("- slug: a", "1: a map of fields is wanted here"),
        ("slug: ' '", "1: slug: a text of at most 1000 characters, not blank"),
        ("slug:", "1: slug: a text of at most 1000 characters, not blank"),
        ("slug: 7", "1: slug: a text of at most 1000 characters, not blank"),
        (
            "slug: a\nowner: 0",
            f"2: owner: an integer from 1 to {2**53 - 1} or a text of at most 200",
        ),
        ("slug: a\npriority: high", "2: priority: an integer from -1000 to 1000"),
        ("slug: a\nmeta: []", "2: meta: a map"),
        ("slug: a\nmemory_seeds: []", "2: memory_seeds: a map"),
        ("slug: a\nowner: 1\nowner_resolver: b", "3: owner_resolver: not beside an owner"),
        ("agents:", "1: agents: a list of definitions"),
        ("slug: a\nlabel: b: c", "2: mapping values are not allowed here"),
        ("slug: a\nlabel: *b", "2: label: no anchors, aliases and merge keys"),
        ("slug: a\nlabel: &b c", "2: label: no anchors, aliases and merge keys"),
        ("slug: a\n*b : c", "1: no anchors, aliases and merge keys"),
        ("slug: a\nother: *b", "2: other: no anchors, aliases and merge keys"),
        ("slug: a\nlabel: !!python/object:os.system b", "2: label: no tags"),
        ("slug: a\nlabel: !b c", "2: label: no tags"),
        ("slug: a\npriority: !!int high", "2: priority: 'high' is not what its tag !!int says"),
        ("slug: a\n? [b]\n: c", "1: a key is a text"),
        ("slug: a\nmeta: {b: 1, b: 2}", "2: meta.b: the key stands there twice"),
        ("slug: a\nmeta: {1: 1, '1': 2}", "2: meta.1: the key stands there twice"),
        ('slug: a\nmeta: {b: ["\\0"]}', "2: meta.b[0]: no NUL"),
        ('slug: a\nmeta: {b: "\\uD800"}', "2: meta.b: no NUL and no half of a surrogate pair"),
        ('slug: a\nmeta: {b: "\\UFFFFFFFF"}', "2: an escape for no character"),
        ("slug: a\nmeta: {b: \x01}", "2: no '\\x01'"),
        ("%YAML 3.0\n---\nslug: a", "found incompatible YAML document"),
    ],
)
def test_an_error_names_file_line_and_field(text: str, error: str) -> None:
    manifests = yaml(text)
    assert manifests.definitions == ()
    (found,) = manifests.errors
    assert str(found).startswith("agents.yaml:")
    assert error in str(found)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2024-01-02", "2024-01-02"),
        ("2001-12-14T21:59:43.10-05:00", "2001-12-14T21:59:43.10-05:00"),
        ("yes", "yes"),
        ("True", True),
        ("007", 7),
        ("-0x1F", "-0x1F"),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("-1.5e3", -1500.0),
        ("9007199254740991", 9007199254740991),
        ("!!str 7", "7"),
        ("! 7", "7"),
        ("'7'", "7"),
        (
            "{1: a, 1.50: b, null: c, true: d, 2024-01-02: e}",
            {"1": "a", "1.50": "b", "null": "c", "true": "d", "2024-01-02": "e"},
        ),
    ],
)
def test_what_values_become(written: str, value: object) -> None:
    read = only(yaml(f"slug: a\nmeta:\n  x: {written}\n")).meta["x"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "number", ["9007199254740992", "-9007199254740993", "0x20000000000000", "1e16", "9" * 5000]
)
def test_numbers_that_json_cannot_tell_apart_are_refused_by_field(number: str) -> None:
    for key in ("default_config", "meta"):
        (error,) = yaml(f"slug: a\n{key}:\n  x:\n  - {number}\n").errors
        assert (error.line, error.field) == (4, f"{key}.x[0]")
        assert "2^53" in error.message


@pytest.mark.parametrize("number", [".nan", ".inf", "-.Inf", "!!float .NAN"])
def test_what_is_no_number_is_refused(number: str) -> None:
    (error,) = yaml(f"slug: a\nmeta: {{x: {number}}}\n").errors
    assert (error.field, error.message[:25]) == ("meta.x", "a number that JSON has, n")


@pytest.mark.parametrize("key", ["default_config", "meta"])
def test_maps_are_bounded_as_the_server_bounds_a_config(key: str) -> None:
    def with_levels(levels: int) -> str:
        return f"agents: [{{slug: a, {key}: {'{x: ' * levels}1{'}' * levels}}}]"

    def with_values(values: int) -> str:
        return f"slug: a\n{key}: {{x: [{'1,' * (values - 2)}]}}"

    def with_bytes(size: int) -> str:
        # Eight of them are JSON's own.
        return f"slug: a\n{key}: {{x: {'b' * (size - 8)}}}"

    for make, most, said_so in (
        (with_levels, 24, "at most 24 levels"),
        (with_values, 5_000, "at most 5000 values, this has 5001"),
        (with_bytes, 64 * 1024, "at most 65536 bytes as JSON, this is 65537"),
    ):
        assert only(yaml(make(most))).slug == "a"
        (error,) = yaml(make(most + 1)).errors
        assert error.field.startswith(key)
        assert error.message == said_so


def test_a_description_is_bounded_in_bytes() -> None:
    assert only(yaml(f"slug: a\ndescription: {'é' * 8192}")).slug == "a"
    (error,) = yaml(f"slug: a\ndescription: {'é' * 8193}").errors
    assert str(error) == "agents.yaml:2: description: at most 16384 bytes of UTF-8"


def test_a_slug_that_stands_there_again_is_kept_and_noticed() -> None:
    manifests = yaml("agents:\n- slug: Wiki\n- slug: other\n- slug: ' wiki '\n")
    assert [one.slug for one in manifests.definitions] == ["Wiki", "other", " wiki "]
    assert said(manifests) == ["agents.yaml:4: slug: ' wiki ' is also in agents.yaml:2"]
    assert manifests.notices == manifests.problems


def test_line_ends_and_marks_of_other_systems() -> None:
    definition = only(yaml("\ufeffslug: ä\r\ndescription: |\r\n  a\r\n  b\r\n"))
    assert (definition.slug, definition.description) == ("ä", "a\nb\n")
