"""What is to become of a definition: whether its agent exists, could be made, and for whom."""

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accredit_storage.errors import StoreError
from accredit_storage.records import Agent, AgentId, User, UserId
from accredit_storage.store import Transaction

from ..calls.app import App
from ..definitions.definitions import Standing, default_owner
from ..errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Reason,
    Refusal,
)
from ..extensions.declarations import Definition
from ..files.scaffolding import ScaffoldedFile
from ..input import configs

_LONGEST_VALUE = 1000


class Outcome(enum.Enum):
    """What became of a definition. PENDING: its agent is still to be created."""

    CREATED = "created"
    EXISTING = "existing"
    SKIPPED = "skipped"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Drift:
    """Something that an agent and its definition say differently, both as JSON."""

    field: str
    agent_value: str
    definition_value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one definition. ``error`` says why, where it was skipped."""

    agent_slug: str
    outcome: Outcome
    error: Refusal | StoreError | None = None
    agent_id: AgentId | None = None
    drift: Sequence[Drift] = ()
    files: Sequence[ScaffoldedFile] = ()


def plan(app: App, tx: Transaction, standing: Standing, agent: Agent | None) -> Result:
    """What becomes of it while nothing is created, given the agent that has the slug.

    PENDING, where reconciling would create the agent. No resolver is called.
    """
    definition = standing.definition
    slug = definition.slug
    if standing.suppressed:
        return Result(
            agent_slug=slug,
            outcome=Outcome.SKIPPED,
            error=FailedPrecondition(
                Reason.DEFINITION_SUPPRESSED,
                "its slug or its source is suppressed",
                agent_slug=slug,
                source=definition.source,
            ),
            agent_id=None if agent is None else agent.agent_id,
        )
    if agent is not None:
        return existing(tx, definition, agent)
    try:
        initial_config(definition)
    except InvalidArgument as refusal:
        return skipped(slug, refusal)
    name = definition.owner_resolver
    if name and name not in app.declarations.owner_resolvers:
        unknown = no_owner("this server has no owner resolver {resolver!r}", resolver=name)
        return skipped(slug, unknown)
    if not definition.asks_for_owner and find_owner(app, tx, definition.owner) is None:
        return without_owner(app, slug, definition.owner)
    return Result(agent_slug=slug, outcome=Outcome.PENDING)


def existing(tx: Transaction, definition: Definition, agent: Agent) -> Result:
    """An agent has the slug. It is compared, and that is all."""
    drift = [_drift("agent_name", agent.agent_name, definition.label)]
    if definition.owner is not None:
        # The default owner and what a resolver says count only where the agent is created.
        owner = _find(tx, definition.owner)
        wanted = definition.owner if owner is None else owner.user_id
        drift.append(_drift("owner_id", agent.owner_id, wanted))
    drift.append(_drift("config", agent.config, described(definition)))
    return Result(
        agent_slug=definition.slug,
        outcome=Outcome.EXISTING,
        agent_id=agent.agent_id,
        drift=[one for one in drift if one is not None],
    )


def skipped(slug: str, error: Refusal | StoreError) -> Result:
    """The agent cannot be made."""
    # Without the frames that it was raised in, which would keep all their values.
    return Result(agent_slug=slug, outcome=Outcome.SKIPPED, error=error.with_traceback(None))


def without_owner(app: App, slug: str, wanted: UserId | str | None) -> Result:
    """The agent cannot be made, because nobody is there to own it."""
    if wanted is not None:
        refusal = no_owner("there is no active user {user!r}", user=wanted)
    elif login := app.declarations.default_owner:
        refusal = no_owner("the default owner {user!r} is no active user", user=login)
    else:
        refusal = no_owner("there is no active administrator to own it")
    return skipped(slug, refusal)


def no_owner(message: str, **parts: Any) -> NotFound:
    """Why an agent gets no owner."""
    return NotFound(Reason.AGENT_OWNER_NOT_FOUND, message, **parts)


def find_owner(app: App, tx: Transaction, wanted: UserId | str | None) -> User | None:
    """The active user of an id or a login, the default owner for None."""
    user = default_owner(app, tx) if wanted is None else _find(tx, wanted)
    return user if user is not None and user.active else None


def initial_config(definition: Definition) -> Mapping[str, Any]:
    """The new agent's config. Raises InvalidArgument if that is larger than a config may be."""
    return configs.checked("default_config", described(definition))


def described(definition: Definition) -> Mapping[str, Any]:
    """The definition's config, with its description where the config has none."""
    config = definition.default_config
    if definition.description and "description" not in config:
        return {**config, "description": definition.description}
    return config


def _find(tx: Transaction, wanted: UserId | str) -> User | None:
    return tx.users.find(wanted) if isinstance(wanted, int) else tx.users.find_by_login(wanted)


def _drift(field: str, agent_value: object, definition_value: object) -> Drift | None:
    # As JSON, since Python takes 1, 1.0 and True in a config for the same.
    agent_json, definition_json = _json(agent_value), _json(definition_value)
    if agent_json == definition_json:
        return None
    return Drift(field, agent_json[:_LONGEST_VALUE], definition_json[:_LONGEST_VALUE])


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
