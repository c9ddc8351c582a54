"""What changes touch and answers rest on, in the words that both share.

A cache drops an answer when a change has one of the answer's subjects. So a change has to list
everything that an answer could rest on, and an answer everything that could change it.
"""

from collections.abc import Iterable, Sequence

from accredit_storage.records import (
    Agent,
    AgentId,
    Grant,
    Subject,
    SubjectKind,
    Token,
    TransferOffer,
    UserId,
)
from accredit_storage.store import Transaction

#: How many a change lists. One that touched more has the one subject STORE.
MAX_SUBJECTS = 5000

STORE = Subject(kind=SubjectKind.STORE, subject_id="")


def subject(kind: SubjectKind, subject_id: object) -> Subject:
    """One thing, by its id."""
    return Subject(kind=kind, subject_id=str(subject_id))


def grant_subject(agent_id: AgentId, user_id: UserId) -> Subject:
    """A user's grant on an agent, whether there is one or not."""
    return subject(SubjectKind.GRANT, f"{agent_id}:user:{user_id}")


def slug_subject(slug: str) -> Subject:
    """An agent's clean slug, whoever has it."""
    return subject(SubjectKind.AGENT_SLUG, slug)


def login_subject(tx: Transaction, login: str) -> Subject:
    """A login, whoever has it."""
    return subject(SubjectKind.LOGIN, tx.login_digest(login))


def agent_subjects(agent: Agent, *user_ids: int) -> tuple[Subject, ...]:
    """An agent, and users whom its change is about."""
    users = (subject(SubjectKind.USER, user_id) for user_id in user_ids)
    return (subject(SubjectKind.AGENT, agent.agent_id), *users)


def creation_subjects(agent: Agent) -> tuple[Subject, ...]:
    """An agent that was made, with its slug and its owner's grant."""
    return (
        *agent_subjects(agent, agent.owner_id),
        grant_subject(agent.agent_id, agent.owner_id),
        slug_subject(agent.agent_slug),
    )


def grant_subjects(grants: Iterable[Grant]) -> tuple[Subject, ...]:
    """Grants that went along with something."""
    return tuple(grant_subject(grant.agent_id, grant.user_id) for grant in grants)


def offer_subjects(offers: Iterable[TransferOffer]) -> tuple[Subject, ...]:
    """Offers that were made or ended, with their agents and both sides."""
    return tuple(
        subject(kind, subject_id)
        for offer in offers
        for kind, subject_id in (
            (SubjectKind.TRANSFER_OFFER, offer.offer_id),
            (SubjectKind.AGENT, offer.agent_id),
            (SubjectKind.USER, offer.owner_id),
            (SubjectKind.USER, offer.new_owner_id),
        )
    )


def token_subjects(token_ids: Iterable[str]) -> tuple[Subject, ...]:
    """Tokens that went along with something."""
    return tuple(subject(SubjectKind.TOKEN, token_id) for token_id in token_ids)


def logged(subjects: Sequence[Subject]) -> tuple[Subject, ...]:
    """The subjects as a change lists them: each once, or STORE alone if there are too many."""
    once = tuple(dict.fromkeys(subjects))
    return once if len(once) <= MAX_SUBJECTS else (STORE,)


def subjects_of_token(token: Token) -> tuple[Subject, ...]:
    """A token, and the agent or the user that it speaks for."""
    if token.agent_id is not None:
        holder = subject(SubjectKind.AGENT, token.agent_id)
    else:
        holder = subject(SubjectKind.USER, token.user_id)
    return (subject(SubjectKind.TOKEN, token.token_id), holder)
