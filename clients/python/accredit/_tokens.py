"""Where the caller's own bearer token comes from."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TokenSource = Callable[[], str | None]
"""Answers the token to send now, or None for no token."""


class Fixed:
    """A token that stays the same."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else checked(token)

    def __call__(self) -> str | None:
        """The token."""
        return self._token


class TokenFile:
    """A file that holds a token and nothing else, read again whenever it changes.

    Whoever rotates the token replaces the file; nothing is restarted. While the file is
    missing or unreadable, as between two steps of a careless replacement, the last good
    token goes on being sent: the server is the judge of it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises OSError or ValueError if there is no good token to begin with."""
        self._path = Path(path)
        # Replaced as one, so that threads which race keep the two together.
        self._held = (self._state(), self._read())

    def __call__(self) -> str:
        """The token. Costs a stat, which is small enough to do on an event loop."""
        with suppress(OSError, ValueError):
            # The state from before reading: what is written while we read shows as a
            # change the next time.
            state = self._state()
            if state != self._held[0]:
                self._held = (state, self._read())
        return self._held[1]

    def _state(self) -> tuple[int, ...]:
        stat = self._path.stat()
        return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def _read(self) -> str:
        return checked(self._path.read_text(encoding="utf-8").strip())


def token_source(
    token: str | None = None, token_file: str | os.PathLike[str] | None = None
) -> TokenSource:
    """What is given, else ACCREDIT_TOKEN, else the file ACCREDIT_TOKEN_FILE, else no token.

    Raises ValueError for both or a malformed one, OSError for a file that cannot be read.
    """
    if token is not None and token_file is not None:
        raise ValueError("token and token_file exclude each other")
    if token is None and token_file is None:
        token = os.environ.get("ACCREDIT_TOKEN") or None
        token_file = None if token else os.environ.get("ACCREDIT_TOKEN_FILE") or None
    return Fixed(token) if token_file is None else TokenFile(token_file)


def checked(token: str) -> str:
    """The token, if it can be sent. The error does not repeat it.

    gRPC's own complaint about a header that it cannot send quotes the header.
    """
    if not token or not all("!" <= character <= "~" for character in token):
        raise ValueError("a token is one word of visible ASCII characters")
    return token
