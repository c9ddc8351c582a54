"""Which texts are ids."""

import click

_LARGEST_ID = 2**63 - 1


def as_id(text: str) -> int | None:
    """The id that a text of digits is; None for any other text."""
    if not (text.isascii() and text.isdecimal()):
        return None
    number = int(text) if len(text) < 20 else _LARGEST_ID + 1
    if not 1 <= number <= _LARGEST_ID:
        raise click.UsageError("an id is a number from 1 up, below 2^63")
    return number
