"""The page of figures is what ``bench/latest.json`` gives, and leaves nothing of it out."""

from collections import Counter

import pytest

from bench import page, plots
from bench.beside_echo import QUICK, WHOLE
from bench.figures import BARS, Figure, latest
from tests.docs.pages import rows


def test_the_page_and_its_picture_are_what_was_measured() -> None:
    found = page.read()
    assert page.PAGE.read_text() == page.page(found), "run make figures"
    assert page.PLOT.read_text() == plots.picture(found), "run make figures"


def test_every_figure_stands_in_the_page_once() -> None:
    measured = [
        (key, engine) for key, one in page.read().items() if isinstance(one, dict) for engine in one
    ]
    # The last table has no figures of the file, but shares of calls.
    shown = [(row[0], row[1]) for row in rows(page.PAGE) if not row[1].isdigit()]
    assert Counter(shown) == Counter(measured)


def test_the_bars_are_those_of_today() -> None:
    found = page.read()
    for key, bar in BARS.items():
        for engine, one in found.get(key, {}).items():
            assert one["bar"] == bar.value(engine), f"{key} on {engine}"


def test_every_bar_is_explained_once() -> None:
    explained = Counter(key for kind in page.KINDS for key in kind.figures)
    assert set(explained.values()) == {1}
    assert set(BARS) <= set(explained)


@pytest.mark.parametrize(("extent", "other"), [(QUICK, WHOLE), (WHOLE, QUICK)])
def test_the_page_says_which_run_it_was(extent: page.Extent, other: page.Extent) -> None:
    some = latest([Figure("authorize_repeated_vs_echo", "sqlite", [1.0] * extent.pairs)])
    text = page.page({"run": extent.name, **some})
    assert f"a {extent.name} run." in text
    assert f"There are {extent.pairs} pairs." in text
    assert f"A {other.name} one has {other.pairs} pairs" in text
    assert "## Memory" not in text


def test_a_note_becomes_a_part_of_the_sentence() -> None:
    found = latest([Figure("revocation_wrong_answers", "one process", [0], "of 10000")])
    assert page.row(found, "revocation_wrong_answers", "one process") == (
        "| revocation_wrong_answers | one process | 0 |  | ≤ 0 | met | "
        "how many of 10 000 revoked tokens still worked |"
    )
