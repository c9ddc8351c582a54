"""From the text of a token to whom it speaks for.

The caller's own is believed or refused; of somebody else's, a decision tells.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from accredit_storage.errors import StoreBusy, StoreUnavailable
from accredit_storage.records import TokenKey

from ...authority import MovedError
from ..errors import Reason, Unauthenticated
from ..facts import Facts, Judged
from ..policy.methods import Method
from ..policy.rights import Decision, Principal, rests_on
from .app import App
from .callers import accept, accept_judged, permits
from .consistency import Basis

_FOREIGN = (
    "the credential is malformed, this store did not mint it: it was mistyped, cut short, or is "
    "another store's: send the metadata `authorization: Bearer <token>`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """Whose token it is: a principal, or None and why."""

    decision: Decision
    principal: Principal | None
    basis: Basis


def screen(app: App, text: str) -> bytes | None:
    """Raise what ``identify`` would, as far as that takes neither a query nor a wait.

    What the text is known by, None where more than that is needed to know it.
    """
    return _worth_a_look_up(app, text) if app.keyring.decides(text) else None


def remembered(app: App, digest: bytes, permission: Method) -> Principal | None:
    """The caller as memory has them, if it lets them in without a look at the log.

    For calls alone that judge their caller again.
    """
    now = app.now()
    authority = app.memory.authority
    held = authority.held(digest, now) or authority.lately(digest)
    outcome = None if held is None else held.outcome
    if held is None or not isinstance(outcome, Principal) or not permits(outcome, permission):
        return None
    return accept_judged(app, held, now)


def identify(app: App, text: str, permission: Method | None = None) -> tuple[Principal, bytes]:
    """The caller whose credential this is, and the digest of its text.

    Raises Unauthenticated, or PermissionDenied. A text that the store did not mint, or that is
    known to be dead, costs no query. ``permission``: of what is called, if that is known.
    """
    digest = _worth_a_look_up(app, text)
    memory = app.memory
    if memory.authority.is_on and memory.feed.current() is not None:
        now = app.now()
        with suppress(MovedError, StoreBusy, StoreUnavailable):
            judged = memory.authority.judged(digest, now)
            if memory.feed.is_polled and not _is_final(judged, permission):
                # Nobody is refused for what was: what they call may have to be as of now.
                memory.feed.follow()
                judged = memory.authority.judged(digest, now)
            return accept_judged(app, judged, now), digest
    with app.store.read(one_statement=True) as tx:
        found = app.dead_tokens.find(digest, tx.credentials.find_by_digest, app.now())
        return accept(app, found), digest


def _is_final(judged: Judged, permission: Method | None) -> bool:
    """Whether the caller is let in, or has a token that no change brings back."""
    if isinstance(judged.outcome, Principal):
        return permission is None or permits(judged.outcome, permission)
    return judged.outcome is Decision.TOKEN_INVALID


def _worth_a_look_up(app: App, text: str) -> bytes:
    digest = presented(app, text)
    if digest is None:
        raise Unauthenticated(Reason.TOKEN_MALFORMED, _FOREIGN)
    if app.dead_tokens.holds(digest, app.now()):
        accept(app, None)
    return digest


def presented(app: App, text: str) -> bytes | None:
    """What to find a token by; None for a text that the store did not mint.

    To be called outside of a transaction: it may read the keys, in one of its own.
    """

    def read() -> Sequence[TokenKey]:
        with app.store.read(one_statement=True) as tx:
            return tx.token_keys()

    return app.keyring.digest(text, read)


def introspect(app: App, facts: Facts, digest: bytes | None, basis: Basis) -> Introspection:
    """Whom somebody else's token speaks for, as of the basis's moment; its use is noted.

    ``digest`` is what ``presented`` made of its text.

    A text that is no live token tells nothing, and such an answer is not to be kept: a basis that
    named the token would tell one that was revoked from one that never was.
    """
    judged = Judged(None, Decision.TOKEN_INVALID)
    if digest is not None:
        judged = facts.judged(digest, basis.judged_at)
    credential, outcome = judged
    if credential is None or outcome is Decision.TOKEN_INVALID:
        return Introspection(
            decision=Decision.TOKEN_INVALID, principal=None, basis=basis.not_kept()
        )
    if isinstance(outcome, Decision):
        # Of the expiries only the token's own could make it another denial.
        basis = basis.on(*rests_on(credential)).until(credential.token.expire_at)
        return Introspection(decision=outcome, principal=None, basis=basis)
    basis.used_token_id = credential.token.token_id
    app.usage.note(basis.used_token_id, basis.judged_at)
    return Introspection(
        decision=Decision.ALLOWED, principal=outcome, basis=basis.on_principal(outcome)
    )
