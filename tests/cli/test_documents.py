import click
import pytest

from accredit.cli.documents import DOCUMENT


@pytest.mark.parametrize(
    ("because", "text"),
    [
        ("not JSON", "{"),
        ("not JSON", ""),
        ("object", "[1]"),
        ("object", "null"),
        ("twice", '{"a": 1, "a": 2}'),
        ("2^53", '{"a": 9007199254740992}'),
        ("2^53", '{"a": -9007199254740993}'),
        ("2^53", '{"a": ' + "1" * 5000 + "}"),
        ("not a number", '{"a": NaN}'),
        ("not a number", '{"a": 1e999}'),
        ("not UTF-8", '{"a": "\\ud800"}'),
        ("deeply", '{"a":' * 100_000),
        ("No such file", "@/nowhere"),
        ("directory", "@/"),
    ],
)
def test_what_is_no_config_is_refused_with_the_rule(because: str, text: str) -> None:
    with pytest.raises(click.BadParameter, match=because.replace("^", r"\^")):
        DOCUMENT.convert(text, None, None)
