"""What every call of a client carries: deadline, token, site, retries."""

import math
import os
from dataclasses import dataclass, replace

from accredit._methods import Method
from accredit._retries import Attempts, Retries
from accredit._tokens import Fixed, TokenSource

DEFAULT_TIMEOUT = 10.0
"""Seconds that a call may take, retries included, where nobody says otherwise."""

TOKEN_HEADER = "authorization"  # noqa: S105 - the name of a header
SITE_HEADER = "accredit-site"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """The settings that a client's calls share."""

    timeout: float
    token: TokenSource
    site: int | None
    retries: Retries

    def but(
        self,
        *,
        timeout: float | None,
        token: str | None,
        site: int | None,
        retries: Retries | None,
    ) -> "CallOptions":
        """The same with those that are not None changed."""
        return replace(
            self,
            timeout=self.timeout if timeout is None else checked_timeout(timeout),
            token=self.token if token is None else Fixed(token),
            site=self.site if site is None else checked_site(site),
            retries=retries or self.retries,
        )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The headers of one attempt.

        The token is one of them, rather than gRPC call credentials, because gRPC refuses
        those on the plaintext connections that are allowed here.
        """
        token = self.token()
        bearer = () if token is None else ((TOKEN_HEADER, f"Bearer {token}"),)
        site = () if self.site is None else ((SITE_HEADER, str(self.site)),)
        return bearer + site

    def attempts(self, method: Method, timeout: float | None) -> Attempts:
        """The attempts at one call, which has its own timeout or the usual one."""
        seconds = self.timeout if timeout is None else checked_timeout(timeout)
        return Attempts(method, self.retries, seconds)


def checked_timeout(seconds: float) -> float:
    """The timeout, if a call can be made in it."""
    if math.isnan(seconds) or seconds <= 0:
        raise ValueError("timeout: seconds, more than 0; math.inf for none")
    return seconds


def checked_site(site: int) -> int:
    """The site id, if it is one."""
    if site < 1:
        raise ValueError("site: a site_id, from 1 up")
    return site


def site_or_default(site: int | None) -> int | None:
    """The site given, else ACCREDIT_SITE, else none."""
    if site is not None:
        return checked_site(site)
    text = os.environ.get("ACCREDIT_SITE")
    if not text:
        return None
    if not text.isdecimal():
        raise ValueError("ACCREDIT_SITE: a site_id, from 1 up")
    return checked_site(int(text))
