"""What would cost a careless reader its memory, its stack or its day costs this one an error."""

import pytest

from accredit.manifests import read_text
from accredit.manifests.decoding import MAX_BYTES
from accredit.manifests.front_matter import MAX_KEYS, MAX_LENGTH, MAX_TEXT
from accredit.manifests.nodes import MAX_LEVELS, MAX_NODES
from tests.manifests.reading import markdown, only, yaml

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("[" * 100_000, "levels"),
        ("{" * 100_000, "levels"),
        ("slug: " + "{a: " * 100_000, "levels"),
        ("- " * 100_000, "levels"),
        ("? " * 100_000, "levels"),
        ("[? " * 100_000, "levels"),
        ("slug: a\nmeta: [" + "1," * MAX_NODES + "]", "values in a file"),
        (f"slug: a\nmeta: {{x: {'1' * 1_000_000}}}", "2^53"),
        ("slug: " + "a" * 1_000_000, "at most 1000 characters"),
        ("slug: a" + " " * MAX_BYTES, "at most 4 MiB"),
    ],
)
def test_depth_and_size_are_refused_before_they_are_read(text: str, because: str) -> None:
    manifests = yaml(text)
    assert manifests.definitions == ()
    assert because in str(manifests.errors[0])


def test_a_billion_laughs_are_refused_at_the_first() -> None:
    manifests = yaml("slug: z\n" + LAUGHS)
    assert manifests.definitions == ()
    assert {error.field[0] for error in manifests.errors} == set("abcdefghi")
    assert "no anchors, aliases" in manifests.errors[0].message


def test_levels_of_what_is_ignored_count_as_well() -> None:
    deep = MAX_LEVELS - 2
    assert yaml("slug: a\nother: " + "[" * 20 + "]" * 20).definitions
    assert yaml("slug: a\nother: " + "[" * deep + "]" * deep).definitions == ()
    (error,) = yaml("slug: a\nother: " + "[" * (deep + 2) + "]" * (deep + 2)).errors
    assert error.message == f"at most {MAX_LEVELS} levels"


@pytest.mark.parametrize("before", ["", "slug: ", '{"slug":', "[", "[a,", "- "])
def test_a_long_tag_is_refused_before_the_parser_has_it(before: str) -> None:
    """Which takes a day for one of four megabytes; a short one costs no more than its field."""
    (error,) = yaml(f"slug: a\n---\n{before}!{'a' * 2_000} b").errors
    assert (error.line, error.field) == (3, "")
    assert error.message.startswith("no tags")


def test_a_long_word_after_an_exclamation_mark_is_text() -> None:
    text = "wow!" + "a" * 2_000
    assert only(yaml(f"slug: a\ndescription: {text}")).description == text


def test_what_yaml_refuses_is_text_in_front_matter_and_means_nothing() -> None:
    for value in ("&x 1", "*x", "!!python/object:os.system x", "[" * 50 + "]" * 50):
        for above in ("", "description: when: this\n"):
            manifests = markdown(f"---\nname: a\n{above}x: {value}\n---\nbody\n")
            assert only(manifests).default_config == {"x": value}
            assert manifests.notices[-1].field == "x"


@pytest.mark.parametrize("above", ["", "description: when: this\n"])
@pytest.mark.parametrize("value", ["&x ", "!", "[" * 50 + "]" * 50])
def test_refused_values_are_kept_as_text_only_if_they_are_short(above: str, value: str) -> None:
    manifests = markdown(f"---\nname: a\n{above}x: {value + 'a' * MAX_TEXT}\n---\nbody\n")
    assert only(manifests).default_config == {}
    assert manifests.notices[-1].field == "x"
    assert manifests.notices[-1].message.endswith("left out")


def test_a_billion_laughs_are_text_in_front_matter() -> None:
    manifests = markdown(f"---\nname: z\n{LAUGHS}---\nbody\n")
    config = only(manifests).default_config
    assert config["a"] == "&a [x, x]"
    assert config["i"] == "&i [*h, *h]"
    assert [one.field for one in manifests.notices] == list("abcdefghi")


def test_a_front_matter_is_bounded_and_a_body_is_not() -> None:
    body = "a b " * 500_000
    assert only(markdown(f"---\nname: a\n---\n{body}")).memory_seeds == {"SOUL.md": body}
    (error,) = markdown("---\nx: " + "a" * MAX_LENGTH + "\n---\nbody").errors
    assert error.message == f"a front matter of at most {MAX_LENGTH} characters"
    keys = "".join(f"k{number}: a: b\n" for number in range(MAX_KEYS))
    assert only(markdown(f"---\n{keys}---\nbody")).default_config["k7"] == "a: b"
    assert markdown(f"---\n{keys}more: c\n---\nbody").definitions == ()


def test_ten_thousand_definitions_of_one_seed_read_it_once() -> None:
    asked = []

    def reader(path: str) -> bytes:
        asked.append(path)
        return b"x" * 1_000_000

    text = "agents:\n" + "- {slug: a, memory_seeds: {S.md: s}}\n" * 10_000
    manifests = read_text("a.yaml", text.encode(), reader)
    assert len(manifests.definitions) == 10_000
    assert asked == ["s"]
