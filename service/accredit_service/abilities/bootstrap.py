"""The first administrator, and the way back in when every token is lost."""

from collections.abc import Callable
from dataclasses import dataclass

from accredit_storage.records import (
    ChangeKind,
    NewUser,
    SubjectKind,
    Token,
    User,
    UserKind,
    UserRole,
)
from accredit_storage.store import WriteTransaction

from .calls import snapshots
from .calls.app import App
from .calls.mutations import (
    RIGHTS,
    Effect,
    record,
)
from .credentials import bearer
from .errors import NotFound, Reason
from .input import texts
from .policy.subjects import login_subject, subject
from .tokens.keys import minting_key

DEFAULT_LOGIN = "admin"
# Held by whoever makes the first administrator, or a token for one.
_ADMINISTRATORS = "administrators"


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """An administrator and the text of a new token with full rights, to be shown once."""

    user: User
    token_id: str
    secret: str

    def __repr__(self) -> str:
        """Without the secret: a dataclass would print it into any log."""
        return f"Bootstrapped(login={self.user.login!r}, token_id={self.token_id!r})"


def bootstrap(
    app: App, keep: Callable[[Bootstrapped], None], *, login: str = DEFAULT_LOGIN
) -> Bootstrapped | None:
    """Make the first administrator if there is no user yet; None if there is one.

    However many processes start at once, one makes it. ``keep`` is called before the commit, so
    that a crash leaves a written secret that opens nothing rather than one that nobody has.
    """
    texts.login("login", login)
    with app.store.write() as tx:
        tx.exclusive(_ADMINISTRATORS)
        if tx.users.count():
            return None
        user = tx.users.add(
            NewUser(
                login=login,
                kind=UserKind.HUMAN,
                role=UserRole.ADMINISTRATOR,
                display_name="Administrator",
                email="",
            ),
            at=app.now(),
        )
        assert user is not None  # noqa: S101 - there are no users
        return _mint(app, tx, user, keep)


def new_token(
    app: App, keep: Callable[[Bootstrapped], None], *, login: str | None = None
) -> Bootstrapped:
    """Break the glass: a new token for an active administrator, the first one or the one named.

    Raises NotFound if there is no such administrator.
    """
    with app.store.write() as tx:
        tx.exclusive(_ADMINISTRATORS)
        if login is None:
            user = tx.users.first_administrator()
        else:
            user = tx.users.find_by_login(login)
        if user is None or not user.active or user.role is not UserRole.ADMINISTRATOR:
            if login is None:
                raise NotFound(Reason.USER_NOT_FOUND, "there is no active administrator")
            raise NotFound(
                Reason.USER_NOT_FOUND, "there is no active administrator {user!r}", user=login
            )
        return _mint(app, tx, user, keep)


def _mint(
    app: App, tx: WriteTransaction, user: User, keep: Callable[[Bootstrapped], None]
) -> Bootstrapped:
    now = app.now()
    # No key is retired between this and the commit.
    tx.shared(RIGHTS)
    minted = bearer.mint(minting_key(tx.token_keys(), now))
    token = Token(
        token_id=minted.token_id,
        agent_id=None,
        user_id=user.user_id,
        label="bootstrap",
        ceiling=None,
        act_as_owner=False,
        created_by=user.user_id,
        created_at=now,
        expire_at=None,
        revoked_at=None,
        rotated_from=None,
        replaced_by=None,
        last_used_at=None,
        version=1,
    )
    tx.tokens.add(token, minted.digest, minted.key_id)
    made = Bootstrapped(user, minted.token_id, minted.secret)
    keep(made)
    effect = Effect(
        value=None,
        kind=ChangeKind.BOOTSTRAPPED,
        subjects=(
            subject(SubjectKind.USER, user.user_id),
            subject(SubjectKind.TOKEN, token.token_id),
            login_subject(tx, user.login),
        ),
        after={"user": snapshots.of_user(user), "token": snapshots.of_token(token)},
    )
    record(tx, effect, now)
    return made
