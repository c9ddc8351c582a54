"""Users: the people and services that call."""

from dataclasses import dataclass, replace

from accredit_storage.errors import LoginTaken
from accredit_storage.records import (
    ChangeKind,
    NewUser,
    SubjectKind,
    Unset,
    User,
    UserRole,
    UserUpdate,
    given,
)
from accredit_storage.store import Transaction, WriteTransaction

from .calls import snapshots
from .calls.app import App
from .calls.callers import require_actions_of, require_full_reach
from .calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    RightsLock,
    Written,
    check_etag,
    mutate,
)
from .calls.mutations import etag as etag_of
from .calls.paging import Cursor, Page, PageRequest
from .calls.reads import Ask, reading
from .errors import (
    AlreadyExists,
    FailedPrecondition,
    Reason,
    action_missing,
    invalid,
)
from .input import texts
from .input.user_refs import UserRef, is_caller, require_user
from .policy.permissions import Action
from .policy.rights import Principal
from .policy.subjects import (
    grant_subjects,
    login_subject,
    offer_subjects,
    subject,
    token_subjects,
)

_OWN_FIELDS = frozenset({"display_name", "email"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUsers:
    """Which users to list; empty or None: whichever."""

    text: str
    email: str
    role: UserRole | None
    active: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateUser:
    """A user, and what to set of them."""

    user: UserRef
    etag: str
    update: UserUpdate


@dataclass(frozen=True, slots=True)
class DeletedUser:
    """The user as they last stood, and how many tokens went with them."""

    user: User
    tokens: int


def create_user(app: App, call: MutatingCall, new: NewUser) -> Written[User] | Replayed:
    """Add a user whose role has no action that the caller lacks."""
    login = texts.login("login", new.login)
    new = replace(
        new,
        login=login,
        display_name=texts.one_line("display_name", new.display_name) or login,
        email=texts.email("email", new.email),
    )

    def perform(mutation: Mutation) -> Effect[User]:
        require_actions_of(mutation.caller, new.role)
        user = mutation.tx.users.add(new, at=mutation.now)
        if user is None:
            raise _login_conflict(login)
        return Effect(
            value=user,
            kind=ChangeKind.USER_CREATED,
            subjects=(
                subject(SubjectKind.USER, user.user_id),
                login_subject(mutation.tx, login),
            ),
            after=snapshots.of_user(user),
        )

    return mutate(app, call, perform, lock=RightsLock.SHARED)


def get_user(app: App, ask: Ask, ref: UserRef) -> User:
    """One user: oneself, or anybody for who manages users. Raises PermissionDenied, NotFound."""
    with reading(app, ask) as (tx, caller, _now, _head):
        return _require_user(tx, caller, ref)


def list_users(app: App, ask: Ask, query: ListUsers, page: PageRequest) -> Page[User]:
    """One page of users by id."""
    with reading(app, ask) as (tx, caller, _now, head):
        cursor = Cursor(page, caller, head.epoch)
        after = cursor.after(int)
        found = tx.users.page(
            after=None if after is None else after[0],
            limit=cursor.size + 1,
            text=texts.search("text", query.text),
            email=texts.search("email", query.email),
            role=query.role,
            active=query.active,
        )
        return cursor.page(found, lambda user: (user.user_id,))


def update_user(app: App, call: MutatingCall, command: UpdateUser) -> Written[User] | Replayed:
    """Set what is given. Oneself may set display name and e-mail."""
    update = _checked(command.update)

    def perform(mutation: Mutation) -> Effect[User]:
        tx, caller = mutation.tx, mutation.caller
        manages = Action.MANAGE_USERS in caller.actions
        if not manages and (beyond := sorted(set(given(update)) - _OWN_FIELDS)):
            raise action_missing(Action.MANAGE_USERS, "to set " + ", ".join(beyond))
        before = _require_user(tx, caller, command.user, lock=True)
        if not manages:
            require_full_reach(caller)
        check_etag(command.etag, etag_of(before.version))
        if not isinstance(update.role, Unset):
            require_actions_of(caller, update.role)
        require_actions_of(caller, before.role)
        if not _stays_administrator(update):
            _keep_an_administrator(tx, before)
        try:
            after = tx.users.update(before.user_id, update, at=mutation.now)
        except LoginTaken:
            raise _login_conflict(str(update.login)) from None
        assert after is not None  # noqa: S101 - the row is locked
        if before.active and not after.active:
            return _deactivated(tx, before, after)
        return _changed(tx, ChangeKind.USER_UPDATED, before, after)

    return mutate(app, call, perform)


def deactivate_user(
    app: App, call: MutatingCall, ref: UserRef, etag: str
) -> Written[User] | Replayed:
    """Stop a user; one who is stopped already stays as they are."""

    def perform(mutation: Mutation) -> Effect[User]:
        tx = mutation.tx
        before = _require_user(tx, mutation.caller, ref, lock=True)
        check_etag(etag, etag_of(before.version))
        require_actions_of(mutation.caller, before.role)
        if not before.active:
            return Effect(value=before)
        _keep_an_administrator(tx, before)
        after = tx.users.update(before.user_id, UserUpdate(active=False), at=mutation.now)
        assert after is not None  # noqa: S101 - the row is locked
        return _deactivated(tx, before, after)

    return mutate(app, call, perform)


def delete_user(
    app: App, call: MutatingCall, ref: UserRef, etag: str
) -> Written[DeletedUser] | Replayed:
    """Remove a user who owns no agent, with grants, tokens, and the tokens that they minted."""

    def perform(mutation: Mutation) -> Effect[DeletedUser]:
        tx = mutation.tx
        user = _require_user(tx, mutation.caller, ref, lock=True)
        check_etag(etag, etag_of(user.version))
        require_actions_of(mutation.caller, user.role)
        owned = tx.users.owned_agents(user.user_id)
        if owned:
            raise FailedPrecondition(
                Reason.USER_OWNS_AGENTS,
                "{login!r} owns {owned} agents: transfer or delete them first",
                owned=len(owned),
                login=user.login,
            )
        _keep_an_administrator(tx, user)
        heirs = set(tx.users.active_administrators()) - {user.user_id}
        tx.tokens.adopt(user.user_id, heirs)
        tokens = sorted({*tx.tokens.minted_by(user.user_id), *tx.tokens.for_user(user.user_id)})
        grants = tx.grants.all_for_user(user.user_id)
        offers = tx.transfer_offers.end_of_user(user.user_id)
        tx.tokens.delete_minted(user.user_id)
        tx.users.delete(user.user_id)
        return Effect(
            value=DeletedUser(user, len(tokens)),
            kind=ChangeKind.USER_DELETED,
            subjects=(
                subject(SubjectKind.USER, user.user_id),
                login_subject(tx, user.login),
                *grant_subjects(grants),
                *offer_subjects(offers),
                *token_subjects(tokens),
            ),
            before=snapshots.of_user(user),
        )

    written = mutate(app, call, perform)
    if isinstance(written, Written) and not call.validate_only:
        app.directories.remove_link(written.value.user)
        app.directories.put_aside(written.value.user)
    return written


def _checked(update: UserUpdate) -> UserUpdate:
    """The update with its texts cleaned. Raises InvalidArgument."""
    if not given(update):
        raise invalid("update", "at least one of login, kind, role, display_name, email, active")
    login, name, email = update.login, update.display_name, update.email
    if not isinstance(login, Unset):
        login = texts.login("update.login", login)
    if not isinstance(name, Unset):
        name = texts.name("update.display_name", name)
    if not isinstance(email, Unset):
        email = texts.email("update.email", email)
    return replace(update, login=login, display_name=name, email=email)


def _require_user(tx: Transaction, caller: Principal, ref: UserRef, *, lock: bool = False) -> User:
    if Action.MANAGE_USERS not in caller.actions and not is_caller(caller, ref):
        raise action_missing(Action.MANAGE_USERS, "to deal with another user")
    return require_user(tx, ref, lock=lock)


def _stays_administrator(update: UserUpdate) -> bool:
    is_one = isinstance(update.role, Unset) or update.role is UserRole.ADMINISTRATOR
    return is_one and (isinstance(update.active, Unset) or update.active)


def _keep_an_administrator(tx: Transaction, user: User) -> None:
    """Raise FailedPrecondition if this user is the only active administrator."""
    is_one = user.active and user.role is UserRole.ADMINISTRATOR
    if is_one and tx.users.count_active_administrators() <= 1:
        raise FailedPrecondition(
            Reason.LAST_ADMIN,
            "{login!r} is the last active administrator: make another one first",
            login=user.login,
        )


def _login_conflict(login: str) -> AlreadyExists:
    return AlreadyExists(
        Reason.LOGIN_CONFLICT, "a user {login!r} already exists: choose another login", login=login
    )


def _deactivated(tx: WriteTransaction, before: User, after: User) -> Effect[User]:
    """What a deactivation came to: it ends the user's offers for good."""
    effect = _changed(tx, ChangeKind.USER_DEACTIVATED, before, after)
    ended = tx.transfer_offers.end_of_user(after.user_id)
    return replace(effect, subjects=(*effect.subjects, *offer_subjects(ended)))


def _changed(tx: Transaction, kind: ChangeKind, before: User, after: User) -> Effect[User]:
    logins = {before.login, after.login} if before.login != after.login else set()
    return Effect(
        value=after,
        kind=kind,
        subjects=(
            subject(SubjectKind.USER, after.user_id),
            *(login_subject(tx, login) for login in sorted(logins)),
        ),
        before=snapshots.of_user(before),
        after=snapshots.of_user(after),
    )
