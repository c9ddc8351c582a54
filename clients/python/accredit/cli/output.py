"""How answers look: a table for people, CSV, or the JSON form of the messages as JSON or YAML.

A list is an array of items however many pages it came in; one answer is the message that the
server sent. Lists go out as they come in, but for tables, whose widths depend on every row.
"""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from accredit.cli.cells import Column
from accredit.cli.escapes import is_unsafe, printable, safe_json, safe_yaml
from accredit.cli.json_form import json_form
from accredit.cli.session import Session

if TYPE_CHECKING:
    from google.protobuf.message import Message

FORMATS = ("table", "json", "csv", "yaml")


def show(session: Session, answer: "Message", columns: Sequence[Column]) -> None:
    """Print one answer."""
    match session.format:
        case "json":
            write(safe_json(json.dumps(json_form(answer), indent=2, ensure_ascii=False)) + "\n")
        case "yaml":
            write(yaml_text(json_form(answer)))
        case "csv":
            _write_csv(session, [answer], columns)
        case _:
            rows = [[column.name, printable(column.cell(answer))] for column in columns]
            _write_table(session, None, rows)


def show_list(
    session: Session,
    items: Iterable[Any],
    columns: Sequence[Column],
    *,
    form: Callable[[Any], Any] = json_form,
) -> None:
    """Print the items of a list: messages, or what ``form`` makes a JSON form of."""
    match session.format:
        case "json":
            _write_array(map(form, items))
        case "yaml":
            _write_yaml_list(map(form, items))
        case "csv":
            _write_csv(session, items, columns)
        case _:
            rows = [[printable(column.cell(item)) for column in columns] for item in items]
            _write_table(session, [column.name.upper() for column in columns], rows)


def write(text: str) -> None:
    """Print a text as it is."""
    # Not by click, which takes escape sequences out of what goes into a file.
    sys.stdout.write(text)


def discard() -> None:
    """Give up what could not be written; Python would complain of it again at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _write_array(documents: Iterable[Any]) -> None:
    before = "[\n"
    for document in documents:
        text = safe_json(json.dumps(document, indent=2, ensure_ascii=False))
        write(before + "  " + text.replace("\n", "\n  "))
        before = ",\n"
    write("[]\n" if before == "[\n" else "\n]\n")


def _write_yaml_list(documents: Iterable[Any]) -> None:
    is_empty = True
    for document in documents:
        write(yaml_text([document]))
        is_empty = False
    if is_empty:
        write("[]\n")


def yaml_text(document: Any) -> str:
    """The document as YAML, with nothing in it that a terminal would obey."""
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Double quotes around whatever has to be escaped, because only there it can be."""

    def scalar(representer: RoundTripRepresenter, text: str) -> Any:
        style = '"' if any(is_unsafe(character) for character in text) else None
        return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Representer.add_representer(str, scalar)
    yaml = YAML()
    yaml.Representer = Representer
    # Folding would put line ends where safe_yaml expects none but the document's own.
    yaml.width = sys.maxsize
    written = io.StringIO()
    yaml.dump(document, written)
    return safe_yaml(written.getvalue())


def _write_csv(session: Session, items: Iterable[Any], columns: Sequence[Column]) -> None:
    shown: Callable[[str], str] = printable if session.is_watched else str
    for row in _csv_rows(items, columns):
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([shown(cell) for cell in row])
        write(line.getvalue())


def _csv_rows(items: Iterable[Any], columns: Sequence[Column]) -> Iterator[list[str]]:
    yield [column.name for column in columns]
    for item in items:
        yield [column.cell(item) for column in columns]


def _write_table(session: Session, header: list[str] | None, rows: list[list[str]]) -> None:
    """Rows under a header, or without one the names and values of a single thing."""
    if session.is_watched:
        _write_rich(header, rows)
        return
    lines = rows if header is None else [header, *rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        write("  ".join(padded).rstrip() + "\n")


def _write_rich(header: list[str] | None, rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=header is not None)
    for name in header or ["", ""]:
        # Text, because rich would take brackets in a name for its markup.
        table.add_column(Text(name), overflow="fold", header_style="bold")
    if header is None:
        table.columns[0].style = "bold"
        table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout, emoji=False, markup=False, highlight=False).print(table)
