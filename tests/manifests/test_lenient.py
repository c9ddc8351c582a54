"""Odd front matter costs no role: every value has a place, or is left out, and a notice says so."""

from pathlib import Path

import pytest

from accredit.manifests import read_folder
from accredit.manifests.front_matter import MAX_TEXT
from tests.manifests.reading import markdown, only, said, yaml


@pytest.mark.parametrize(
    ("line", "value", "wanted"),
    [
        ("priority: high", "high", "wanted: an integer from -1000 to 1000"),
        ("priority: 1001", 1001, "wanted: an integer from -1000 to 1000"),
        ("meta: foo", "foo", "wanted: a map"),
        ("meta: {b: 1, b: 2}", "{b: 1, b: 2}", "wanted: a map"),
        ("owner: [a]", ["a"], "wanted: an integer from 1 to"),
        ("owner: 0", 0, "wanted: an integer from 1 to"),
        ("owner_resolver: {x: y}", {"x": "y"}, "wanted: a text"),
        ("memory_seeds: x", "x", "wanted: a map"),
        ("memory_seeds: [x]", ["x"], "wanted: a map"),
        ("default_config: x", "x", "wanted: a map"),
    ],
)
def test_a_known_key_with_a_foreign_value_is_a_value_of_the_config(
    line: str, value: object, wanted: str
) -> None:
    manifests = markdown(f"---\nname: a\n{line}\nmodel: m\n---\nbody")
    definition = only(manifests)
    key = line.partition(":")[0]
    assert definition.default_config == {key: value, "model": "m"}
    assert definition.memory_seeds == {"SOUL.md": "body"}
    assert (definition.priority, definition.owner, definition.meta) == (10, None, {})
    assert definition.owner_resolver == ""
    notice = manifests.notices[-1]
    assert (notice.file, notice.line, notice.field) == ("role.md", 3, key)
    assert notice.message.startswith(wanted)
    assert yaml(f"slug: a\n{line}\n").definitions == ()


def test_a_resolver_beside_an_owner_is_a_value_of_the_config() -> None:
    manifests = markdown("---\nname: a\nowner: ada\nowner_resolver: x\n---\nbody")
    assert only(manifests).owner == "ada"
    assert only(manifests).default_config == {"owner_resolver": "x"}
    assert said(manifests) == [
        "role.md:4: owner_resolver: not beside an owner; now a value of the config"
    ]


def test_a_foreign_value_that_no_config_can_hold_is_left_out() -> None:
    manifests = markdown(f"---\nname: a\nmeta: {{x: [{'1,' * 5_000}]}}\nmodel: m\n---\nbody")
    assert only(manifests).default_config == {"model": "m"}
    assert only(manifests).meta == {}
    assert [one.field for one in manifests.notices] == ["meta", "meta"]
    assert manifests.notices[-1].message == "too large for the config; left out"


@pytest.mark.parametrize("seed", ["7", "[x]", "{}", "{text: 7}"])
def test_what_is_no_seed_is_left_out(seed: str) -> None:
    manifests = markdown(
        f"---\nname: a\nmemory_seeds:\n  A.md: {seed}\n  B.md: {{text: b}}\n---\nbody"
    )
    assert only(manifests).memory_seeds == {"B.md": "b", "SOUL.md": "body"}
    assert said(manifests) == ["role.md:4: memory_seeds.A.md: not a seed, so it is ignored"]


def test_a_seed_that_leads_out_is_an_error_still(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\nname: a\nmemory_seeds: {A.md: ../x}\n---\nbody")
    manifests = read_folder(tmp_path)
    assert manifests.definitions == ()
    assert [one.field for one in manifests.errors] == ["memory_seeds.A.md"]


@pytest.mark.parametrize("key", ["name", "slug", "label", "description"])
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("[WIP]", "[WIP]"),
        ("{{ role }}", "{{ role }}"),
        ("{a: b}", "{a: b}"),
        ("!important do it", "!important do it"),
        ("&anchor hey", "&anchor hey"),
        ("*ref", "*ref"),
        ("9007199254740993", "9007199254740993"),
        (".nan", ".nan"),
        ("\n- a\n- b", "- a\n- b"),
    ],
)
def test_a_text_is_what_was_written(key: str, written: str, value: str) -> None:
    manifests = markdown(f"---\nmodel: m\n{key}: {written}\n---\nbody", "file.md")
    field = "slug" if key == "name" else key
    folded = " ".join(value.split()) if key == "label" else value
    assert getattr(only(manifests), field) == folded
    assert only(manifests).default_config == {"model": "m"}
    meant = {"slug", "label"} if key == "name" else {key}
    assert {one.field for one in manifests.notices} - {""} & {key, *meant}
    assert manifests.errors == ()


def test_a_map_in_one_line_has_its_description_as_json() -> None:
    manifests = markdown("---\n{name: a, description: [é, 1], x: *y}\n---\nbody")
    assert only(manifests).description == '["é", 1]'
    assert only(manifests).default_config == {}
    assert [one.field for one in manifests.notices] == ["x", "description"]


def test_texts_that_are_too_long_are_cut() -> None:
    manifests = markdown(f"---\nname: {'ab ' * 400}\ndescription: x{'é' * 8192}\n---\nbody")
    definition = only(manifests)
    assert definition.slug == ("ab " * 400)[:1000]
    assert definition.label == ("ab " * 400)[:200]
    assert definition.description == "x" + "é" * 8191
    assert said(manifests) == [
        "role.md:2: slug: cut to 1000 characters",
        "role.md:2: label: cut to 200 characters",
        "role.md:3: description: cut to 16384 bytes of UTF-8",
    ]


def test_a_text_at_its_bound_is_whole() -> None:
    manifests = markdown(
        f"---\nslug: {'s' * 1000}\nlabel: {'l' * 200}\ndescription: {'é' * 8192}\n---\nbody"
    )
    assert len(only(manifests).description) == 8192
    assert manifests.problems == ()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("9007199254740992", "9007199254740992"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("{most: [1, .inf]}", {"most": [1, ".inf"]}),
        ("*ref", "*ref"),
        ("&anchor hey", "&anchor hey"),
        ("!vault x", "!vault x"),
        ("{b: 1, b: 2}", "{b: 1, b: 2}"),
        ("\n  <<: *b", "<<: *b"),
        ('"\\0"', "\\0"),
        ("[" * 28 + "]" * 28, "[" * 28 + "]" * 28),
        ("[" * 40 + "]" * 40, "[" * 40 + "]" * 40),
    ],
)
@pytest.mark.parametrize("above", ["", "said: b: c\n"])
def test_an_unknown_key_that_yaml_refuses_is_its_text(
    above: str, written: str, value: object
) -> None:
    manifests = markdown(f"---\nname: a\n{above}x: {written}\nmodel: m\n---\nbody")
    config = only(manifests).default_config
    assert (config["x"], config["model"]) == (value, "m")
    assert only(manifests).memory_seeds == {"SOUL.md": "body"}
    assert any(one.field.startswith("x") and one.line >= 3 for one in manifests.notices)


def test_an_unknown_key_that_is_too_large_is_left_out() -> None:
    for value in ("&x " + "a" * MAX_TEXT, "[" + "1," * 5_000 + "]", "a" * 65_536):
        manifests = markdown(f"---\nname: a\nx: {value}\nmodel: m\n---\nbody")
        assert only(manifests).default_config == {"model": "m"}
        (notice,) = manifests.notices
        assert (notice.line, notice.field) == (3, "x")
        assert notice.message.endswith("left out")


def test_the_config_is_filled_to_its_bounds_and_not_beyond() -> None:
    half = "b" * 32_758
    lines = f"default_config: {{x: {half}}}\ny: {half}"
    # {"x":"…","y":"…"} has fifteen bytes besides.
    fits = markdown(f"---\nname: a\n{lines}bbbbb\n---\nbody")
    assert sorted(only(fits).default_config) == ["x", "y"]
    assert fits.problems == ()
    over = markdown(f"---\nname: a\n{lines}bbbbbb\n---\nbody")
    assert sorted(only(over).default_config) == ["x"]
    assert said(over) == ["role.md:4: y: too large for the config; left out"]
    many = markdown(f"---\nname: a\nx: [{'1,' * 4_997}]\ny: 1\nz: 1\n---\nbody")
    assert sorted(only(many).default_config) == ["x", "y"]


def test_of_a_key_that_stands_there_twice_the_first_counts() -> None:
    for above in ("", "said: b: c\n"):
        manifests = markdown(f"---\n{above}name: a\npriority: 3\npriority: 4\nname: b\n---\nx")
        assert (only(manifests).slug, only(manifests).priority) == ("a", 3)
        again = [one.field for one in manifests.notices if "stands there again" in one.message]
        assert again == ["priority", "name"]
    twice = markdown("---\nname: a\ncolour: red\ncolour: blue\n---\nx")
    assert only(twice).default_config == {"colour": "red"}
    assert said(twice) == ["role.md:4: colour: the key stands there again; the first counts"]


def test_lines_before_the_first_key_are_ignored_if_a_known_key_follows() -> None:
    manifests = markdown("---\n<!-- mine -->\nname: a\n---\nbody")
    assert only(manifests).slug == "a"
    assert only(manifests).memory_seeds == {"SOUL.md": "body"}
    assert manifests.notices[0].line == 2
    whole = markdown('---\n"Display Name": x\nname: a\n---\nbody')
    assert only(whole).default_config == {"Display Name": "x"}
    assert whole.problems == ()
