"""Which definition of a slug wins, and where it stands."""

import itertools

import pytest

from accredit_service.abilities.definitions.definitions import Standing, merged
from accredit_service.abilities.extensions.declarations import Declarations, Definition, Origin


def one(
    slug: str,
    source: str,
    *,
    origin: Origin = Origin.REGISTERED,
    priority: int = 10,
    order: int = 0,
    turn: int = 0,
) -> Definition:
    return Definition(
        slug=slug,
        label=source,
        priority=priority,
        origin=origin,
        source=source,
        order=order,
        turn=turn,
    )


def shown(standings: list[Standing]) -> list[tuple[str, str, list[str]]]:
    return [
        (each.definition.slug, each.definition.source, list(each.overrides)) for each in standings
    ]


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        pytest.param(
            one("a", "x", origin=Origin.MANIFEST, priority=9), one("a", "y"), id="priority"
        ),
        pytest.param(
            one("a", "x", origin=Origin.ENTRY_POINT),
            one("a", "y", origin=Origin.MANIFEST),
            id="a manifest over a package",
        ),
        pytest.param(
            one("a", "x", origin=Origin.SERVER),
            one("a", "y", origin=Origin.ENTRY_POINT),
            id="a package over the server's own",
        ),
        pytest.param(
            one("a", "x", turn=9), one("a", "y", origin=Origin.SERVER), id="all over registered"
        ),
        pytest.param(
            one("a", "x", order=2, turn=1), one("a", "y", order=1, turn=2), id="the last turn"
        ),
    ],
)
def test_the_stronger_wins_in_whichever_order_they_come(
    weaker: Definition, stronger: Definition
) -> None:
    for order in itertools.permutations((weaker, stronger)):
        assert shown(merged(order, frozenset())) == [("a", "y", ["x"])]


def test_a_slug_stands_where_it_was_first_declared() -> None:
    definitions = [
        one("b", "p", order=1, turn=1),
        one("a", "p", order=2, turn=2),
        one("b", "m", origin=Origin.MANIFEST, order=5),
        one("c", "m", origin=Origin.MANIFEST, order=4),
        one("early", "m", origin=Origin.MANIFEST, order=6, priority=1),
    ]
    found = merged(definitions, frozenset())
    assert shown(found) == [
        ("early", "m", []),
        ("b", "m", ["p"]),
        ("a", "p", []),
        ("c", "m", []),
    ]
    assert [each.order for each in found] == sorted({each.order for each in found})


@pytest.mark.parametrize(
    ("suppressed", "expected"),
    [
        pytest.param({"y"}, ("x", False), id="the winner's source"),
        pytest.param({"x"}, ("y", False), id="another source"),
        pytest.param({"x", "y"}, ("y", True), id="every source"),
        pytest.param({"a"}, ("y", True), id="the slug"),
        pytest.param({"b"}, ("y", False), id="another slug"),
    ],
)
def test_what_is_suppressed_gives_way(suppressed: set[str], expected: tuple[str, bool]) -> None:
    (found,) = merged([one("a", "x", turn=1), one("a", "y", turn=2)], suppressed)
    assert (found.definition.source, found.suppressed) == expected


def test_declarations_keep_the_order_in_which_they_are_given() -> None:
    declarations = Declarations(
        packages=[one("a", "p", origin=Origin.ENTRY_POINT)] * 2, notices=["package"]
    )
    declarations.replace_manifests(
        [one(slug, "m", origin=Origin.MANIFEST) for slug in "ba"], ["manifest"]
    )
    assert [(each.source, each.turn) for each in declarations.definitions] == [
        ("p", 0),
        ("p", 1),
        ("m", 0),
        ("m", 1),
    ]
    assert list(declarations.notices) == ["package", "manifest"]
    declarations.replace_manifests([], [])
    assert [each.source for each in declarations.definitions] == ["p", "p"]
