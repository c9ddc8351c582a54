"""Answers that are kept for as long as their bases allow, as a client's cache keeps them.

A kept answer is dropped when a change has one of its subjects, or when its time is up. Whatever is
kept after that must be what the server answers now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from accredit.v1 import types_pb2
from accredit_service.abilities.policy.subjects import STORE
from accredit_storage.changes import ChangeQuery
from accredit_storage.records import Change, Subject, SubjectKind, UserId
from tests.server import Person, RefusedError, Server

TOKEN_INVALID = types_pb2.DECISION_TOKEN_INVALID
USER_INACTIVE = types_pb2.DECISION_USER_INACTIVE
MINTER_WITHOUT_RIGHTS = types_pb2.DECISION_MINTER_WITHOUT_RIGHTS
#: What is said about the caller's credential, or about whether the question is theirs to ask.
ABOUT_THE_CALLER = ("UNAUTHENTICATED", "PERMISSION_DENIED")


@dataclass(eq=False)
class Minted:
    """A token that somebody minted, of an agent or of a user.

    ``vouchers`` are those who learnt it besides, or with whose tokens it was minted.
    """

    secret: str
    token_id: str
    minter: int
    agent_id: int | None = None
    user_id: int | None = None
    ends: datetime | None = None
    vouchers: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Question:
    """One call that asks. ``token``: whose it is about, None if it is about no token.

    ``of_itself``: about the caller itself, so that a refusal of the caller is another answer.
    ``unnamed``: one of the agents in question is not named.
    """

    asker: Person
    method: str
    fields: Mapping[str, Any]
    token: Minted | None = None
    of_itself: bool = False
    unnamed: bool = False

    def ask(self) -> tuple[Any, str]:
        """The reply, or None and why the call was refused."""
        try:
            return self.asker.call(self.method, **self.fields), ""
        except RefusedError as refusal:
            return None, refusal.what

    def __str__(self) -> str:
        """Without the secrets, which tell nobody anything."""
        said = {key: "…" if key == "token" else value for key, value in self.fields.items()}
        about = f" of {self.token.token_id}" if self.token else ""
        return f"{self.method}{about} by {self.asker.login or self.asker.token_id}: {said}"


@dataclass(frozen=True)
class Kept:
    """A cacheable answer."""

    question: Question
    reply: Any
    subjects: frozenset[Subject]
    valid_until: datetime | None
    revision: int

    @classmethod
    def of(cls, question: Question, reply: Any) -> "Kept":
        """What a cache keeps of a reply."""
        return cls(
            question=question,
            reply=reply,
            subjects=subjects_of(reply.basis),
            valid_until=valid_until(reply.basis),
            revision=reply.basis.position.revision,
        )


def subjects_of(basis: Any) -> frozenset[Subject]:
    """What an answer rests on."""
    return frozenset(
        Subject(kind=_KINDS[one.kind], subject_id=one.subject_id) for one in basis.depends_on
    )


def valid_until(basis: Any) -> datetime | None:
    """When an answer's time is up; None for never."""
    if not basis.HasField("valid_until"):
        return None
    found: datetime = basis.valid_until.ToDatetime(tzinfo=UTC)
    return found


def without_basis(reply: Any) -> bytes:
    """The answer itself."""
    bare = type(reply)()
    bare.CopyFrom(reply)
    bare.ClearField("basis")
    said: bytes = bare.SerializeToString(deterministic=True)
    return said


class KeptAnswers:
    """The kept answers to some questions, each asked again after whatever happens."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._kept: list[Kept] = []
        self._seen = self.head()

    def __len__(self) -> int:
        return len(self._kept)

    def head(self) -> int:
        """The newest revision."""
        with self._server.app.store.read() as tx:
            return tx.head().revision

    def changes(self, after: int) -> list[Change]:
        """The changes after a revision."""
        with self._server.app.store.read() as tx:
            return tx.changes.page(ChangeQuery(), after=after, limit=10_000)

    def next_end(self) -> datetime | None:
        """The first moment at which the time of one of them is up."""
        return min((kept.valid_until for kept in self._kept if kept.valid_until), default=None)

    def add(self, question: Question) -> None:
        """Ask a question for the first time. The changes so far must have been read."""
        reply, _refused = question.ask()
        if reply is not None and self._checked(question, reply).cacheable:
            self._kept.append(Kept.of(question, reply))

    def forget(self, number: int) -> None:
        """Drop the oldest ones."""
        del self._kept[:number]

    def read_changes(self) -> list[Change]:
        """The changes that have come since they were last read; drops nothing by itself."""
        found = self.changes(self._seen)
        self._seen = found[-1].revision if found else self._seen
        return found

    def confirm(self, changes: list[Change]) -> None:
        """Drop what rests on these changes or is out of date; hold the rest against now."""
        touched = {subject for change in changes for subject in change.subjects}
        now = self._server.clock()
        still = []
        for kept in self._kept:
            ended = kept.valid_until is not None and now >= kept.valid_until
            dropped = ended or STORE in touched or not touched.isdisjoint(kept.subjects)
            after = self._refilled(kept, ended, touched) if dropped else self._confirmed(kept)
            if after is not None:
                still.append(after)
        self._kept = still

    def _refilled(self, kept: Kept, ended: bool, touched: set[Subject]) -> Kept | None:
        question = kept.question
        reply, _refused = question.ask()
        if reply is None:
            return None
        if question.token is not None and is_token_invalid(reply) and not ended:
            # Whatever ended it along with others has to list it.
            listed = Subject(kind=SubjectKind.TOKEN, subject_id=question.token.token_id)
            assert listed in touched, self._stale(kept, reply)
        return Kept.of(question, reply) if self._checked(question, reply).cacheable else None

    def _confirmed(self, kept: Kept) -> Kept:
        question = kept.question
        reply, refused = question.ask()
        if refused.startswith(ABOUT_THE_CALLER) and not question.of_itself:
            return kept
        assert reply is not None, self._stale(kept, refused)
        assert without_basis(reply) == without_basis(kept.reply), self._stale(kept, reply)
        self._checked(question, reply)
        return kept

    def _stale(self, kept: Kept, now: object) -> str:
        changes = "\n".join(map(str, self.changes(kept.revision)))
        return (
            f"{kept.question}\nwas answered and may be kept:\n{kept.reply}\n"
            f"it is {self._server.clock()} and the answer is:\n{now}\nsince then:\n{changes}"
        )

    def _checked(self, question: Question, reply: Any) -> Any:
        """The basis, after a look at what every basis promises."""
        basis = reply.basis
        about = f"{question}\n{reply}"
        assert basis.judged_at.ToDatetime(tzinfo=UTC) == self._server.clock(), about
        assert basis.position.revision == self._seen, about
        listed = [(one.kind, one.subject_id) for one in basis.depends_on]
        assert listed == sorted(set(listed)), about
        end = valid_until(basis)
        assert end is None or end > self._server.clock(), about
        if is_token_invalid(reply):
            assert not basis.cacheable, about
            assert (listed, end) == ([], None), about
        else:
            assert listed, about
            assert basis.cacheable == self._may_be_kept(question, reply), about
            _require_named(question, reply, subjects_of(basis), about)
            ends = question.token.ends if question.token else None
            assert ends is None or (end is not None and end <= ends), about
        return basis

    def _may_be_kept(self, question: Question, reply: Any) -> bool:
        """Whether each agent in question is named, chosen or the token's own, or none matters."""
        if not question.unnamed or _reason(reply) in (USER_INACTIVE, MINTER_WITHOUT_RIGHTS):
            return True
        if question.method == "ScopeService/ResolveScope":
            kind = reply.principal.kind
            return reply.HasField("denial") or kind == types_pb2.PRINCIPAL_KIND_AGENT
        token = question.token
        assert token is not None, question
        return token.agent_id is not None or self._has_chosen(token.user_id)

    def _has_chosen(self, user_id: int | None) -> bool:
        with self._server.app.store.read() as tx:
            user = None if user_id is None else tx.users.find(UserId(user_id))
        return user is not None and user.default_agent_id is not None


def is_token_invalid(reply: Any) -> bool:
    """Whether all that is said is that the token is none."""
    return _reason(reply) == TOKEN_INVALID


def _reason(reply: Any) -> int:
    """Why it was denied as a whole; 0 if it was not."""
    if hasattr(reply, "decisions"):
        whole = hasattr(reply, "principal") and not reply.HasField("principal")
        reason: int = reply.decisions[0] if whole else 0
    else:
        reason = reply.denial.reason
    return reason


def _require_named(
    question: Question, reply: Any, subjects: frozenset[Subject], about: str
) -> None:
    """Raise AssertionError unless an answer rests on what it is seen to rest on."""
    expected = _expected(question, reply)
    shown = reply.principal.user_id if hasattr(reply, "principal") else 0
    user = question.fields.get("user", {})
    if hasattr(reply, "scope") and "login" in user and reply.scope.user_id not in (0, shown):
        expected.add((SubjectKind.USER, reply.scope.user_id))
        assert any(one.kind is SubjectKind.LOGIN for one in subjects), about
    if reply.basis.cacheable and getattr(reply, "role", 0):
        # The role is one on an agent, from a grant or not: both could become otherwise.
        grants = [one.subject_id.split(":") for one in subjects if one.kind is SubjectKind.GRANT]
        agents = {agent for agent, _, user in grants if int(user) == shown or not shown}
        known = {one.subject_id for one in subjects if one.kind is SubjectKind.AGENT}
        assert agents & known, about
    for kind, subject_id in expected:
        assert Subject(kind=kind, subject_id=str(subject_id)) in subjects, (kind, about)


def _expected(question: Question, reply: Any) -> set[tuple[SubjectKind, object]]:
    """Who speaks, as the reply shows, and the token that was asked about."""
    found: set[tuple[SubjectKind, object]] = set()
    if hasattr(reply, "principal"):
        principal = reply.principal
        found |= {
            (SubjectKind.USER, principal.user_id),
            (SubjectKind.TOKEN, principal.token_id),
            (SubjectKind.AGENT, principal.agent_id),
        }
    token = question.token
    if token is not None:
        found |= {(SubjectKind.USER, user_id) for user_id in (token.minter, *token.vouchers)}
        found |= {(SubjectKind.TOKEN, token.token_id), (SubjectKind.AGENT, token.agent_id)}
        if token.agent_id is not None:
            found.add((SubjectKind.GRANT, f"{token.agent_id}:user:{token.minter}"))
    return {(kind, subject_id) for kind, subject_id in found if subject_id}


_KINDS = {
    number: SubjectKind[name.removeprefix("SUBJECT_KIND_")]
    for name, number in types_pb2.SubjectKind.items()
    if number
}
