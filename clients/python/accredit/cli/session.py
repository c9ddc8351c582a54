"""What a command works with: the global options, and a client made from them."""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

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


if TYPE_CHECKING:
    from accredit import Client

AGENT_VARIABLE = "ACCREDIT_AGENT"

# A stream lasts as long as whoever reads it, or as what it reports on.
_STREAM_TIMEOUT = 600.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Session:
    """One run of the command. `options` writes the global options into it."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = _utc_now,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.now = now
        self._environment = environment
        self.address: str | None = None
        self.token_file: str | None = None
        self.ca_file: str | None = None
        self.insecure = False
        self.site: str | None = None
        self.timeout: float | None = None
        self.agent: str | None = None
        self.format = "table"
        self.warn: bool | None = None
        self.has_told_expiry = False
        """Whether this command has said itself when the caller's own token ends."""

    @cached_property
    def client(self) -> "Client":
        """The client, connected by its first call.

        Raises click.UsageError for settings that contradict each other or cannot work.
        """
        # What gRPC's core has to say is in the error as well.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        from accredit import Client

        site = None if self.site is None else as_id(self.site)
        try:
            client = Client(
                self.address,
                token_file=self.token_file,
                ca_file=self.ca_file,
                insecure=self.insecure,
                site=site,
            ).with_options(timeout=self.timeout)
        except OSError as error:
            raise click.UsageError(f"{error.filename}: {error.strerror}") from error
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        if self.site is not None and site is None:
            found = client.sites.get_site(site={"site_slug": self.site})
            client = client.with_options(site=found.site.site_id)
        return client

    @property
    def has_connected(self) -> bool:
        """Whether the command has asked for the client."""
        return "client" in self.__dict__

    @property
    def stream_timeout(self) -> float:
        """Seconds that a call may take which answers in a stream."""
        return self.timeout or _STREAM_TIMEOUT

    @property
    def default_agent(self) -> str | None:
        """The agent that --agent or the environment names for where none is given."""
        return self.agent or self._environment.get(AGENT_VARIABLE) or None

    @property
    def is_watched(self) -> bool:
        """Whether a person is looking at what is printed."""
        return sys.stdout.isatty()

    @property
    def warns(self) -> bool:
        """Whether to look after the caller's own token once the command is done."""
        return (self.is_watched and sys.stderr.isatty()) if self.warn is None else self.warn

    def close(self) -> None:
        """Close the connection if there is one."""
        if self.has_connected:
            self.client.close()


pass_session = click.make_pass_decorator(Session, ensure=True)
