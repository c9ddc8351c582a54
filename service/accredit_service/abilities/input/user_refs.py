"""From what a caller writes to the user who is meant.

Whoever may not know other users is refused before anybody is looked up, so that nobody learns by a
login whether there is such a user.
"""

from accredit_storage.records import User, UserId, folded
from accredit_storage.store import Transaction

from ..errors import NotFound, Reason
from ..policy.rights import Principal

# An id, or a login.
UserRef = UserId | str


def find_user(
    tx: Transaction, ref: UserRef, *, lock: bool = False, share: bool = False
) -> User | None:
    """The user who is meant, active or not. ``lock`` and ``share`` keep them from changing."""
    if isinstance(ref, int):
        return tx.users.find(ref, lock=lock, share=share)
    return tx.users.find_by_login(ref, lock=lock, share=share)


def require_user(tx: Transaction, ref: UserRef, *, lock: bool = False, share: bool = False) -> User:
    """The same. Raises NotFound."""
    user = find_user(tx, ref, lock=lock, share=share)
    if user is None:
        raise no_user(ref)
    return user


def require_active(tx: Transaction, ref: UserRef, reason: Reason = Reason.USER_NOT_FOUND) -> User:
    """The user who is meant, kept from changing. Raises NotFound unless they are active."""
    user = find_user(tx, ref, share=True)
    if user is None or not user.active:
        raise NotFound(reason, "there is no active user {user!r}", user=ref)
    return user


def is_caller(caller: Principal, ref: UserRef) -> bool:
    """Whether the caller speaks as this user, not merely as an agent of theirs."""
    if isinstance(ref, str):
        return folded(caller.user.login) == folded(ref) and caller.is_user(caller.user.user_id)
    return caller.is_user(ref)


def no_user(ref: UserRef) -> NotFound:
    """The refusal of a user whom nobody knows."""
    return NotFound(Reason.USER_NOT_FOUND, "there is no user {user!r}", user=ref)
