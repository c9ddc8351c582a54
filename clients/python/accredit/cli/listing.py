"""How much of a list is fetched."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from accredit.cli.failures import note

F = TypeVar("F", bound=Callable[..., Any])

_LARGEST_PAGE = 500


def paged(command: F) -> F:
    """Give a command that lists --limit and --all-pages, as `limit`."""
    all_pages = click.option(
        "--all-pages",
        "limit",
        flag_value=0,
        type=int,
        help="List all, however many pages that takes. The default; undoes an earlier --limit.",
    )
    limit = click.option(
        "--limit", type=click.IntRange(min=0), metavar="N", help="List the first N; 0: all."
    )
    return limit(all_pages(command))


def listed(
    iterate: Callable[..., Iterator[Any]], limit: int | None, **fields: Any
) -> Iterator[Any]:
    """The items of all pages, or the first so many; says so if there are more."""
    if not limit:
        yield from iterate(page_size=_LARGEST_PAGE, **fields)
        return
    # One more than is shown tells whether there are more.
    items = iterate(page_size=min(limit + 1, _LARGEST_PAGE), **fields)
    yield from itertools.islice(items, limit)
    if next(items, None) is not None:
        note(f"there are more than these {limit}: raise --limit, or leave it out")
