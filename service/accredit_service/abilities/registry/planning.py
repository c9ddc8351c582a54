"""What is to become of a definition: whether its agent exists, could be made, and for whom."""

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accredit_storage.records import Agent, User
from accredit_storage.store import Transaction

from .. import configs
from ..app import App
from ..errors import InvalidArgument, Reason
from ..scaffolding import ScaffoldedFile
from .declarations import Definition
from .definitions import Standing, default_owner

#: The reason of a result that is not the store's: somebody wants no such agent.
SUPPRESSED = "SUPPRESSED"
_LONGEST_VALUE = 1000


class Outcome(enum.Enum):
    """What became of a definition, or would."""

    CREATED = "created"
    EXISTING = "existing"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Drift:
    """Something that an agent and its definition say differently, both as JSON."""

    field: str
    agent_value: str
    definition_value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one definition. ``reason`` and ``message`` say why, where it was skipped."""

    agent_slug: str
    outcome: Outcome
    reason: str = ""
    message: str = ""
    agent_id: int | None = None
    drift: Sequence[Drift] = ()
    files: Sequence[ScaffoldedFile] = ()


def plan(app: App, tx: Transaction, standing: Standing, agent: Agent | None) -> Result:
    """What reconciling would do, given the agent that has the slug. No resolver is called."""
    definition = standing.definition
    slug = definition.slug
    if standing.suppressed:
        return Result(
            agent_slug=slug,
            outcome=Outcome.SKIPPED,
            reason=SUPPRESSED,
            message="its slug or its source is suppressed",
            agent_id=None if agent is None else agent.agent_id,
        )
    if agent is not None:
        return existing(tx, definition, agent)
    try:
        initial_config(definition)
    except InvalidArgument as refusal:
        return skipped(slug, refusal.reason, refusal.message)
    name = definition.owner_resolver
    if name and name not in app.declarations.owner_resolvers:
        return skipped(slug, Reason.AGENT_OWNER_NOT_FOUND, f"no owner resolver {name!r} here")
    if definition.asks_for_owner:
        message = "the resolver decides who is to own it"
        return Result(agent_slug=slug, outcome=Outcome.CREATED, message=message)
    if find_owner(app, tx, definition.owner) is None:
        return without_owner(slug, definition.owner)
    return Result(agent_slug=slug, outcome=Outcome.CREATED)


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


def skipped(slug: str, reason: Reason, message: str) -> Result:
    """The agent cannot be made."""
    return Result(agent_slug=slug, outcome=Outcome.SKIPPED, reason=reason.value, message=message)


def without_owner(slug: str, wanted: int | str | None) -> Result:
    """The agent cannot be made, because nobody is there to own it."""
    whom = "administrator to own it" if wanted is None else f"user {wanted!r}"
    return skipped(slug, Reason.AGENT_OWNER_NOT_FOUND, f"there is no active {whom}")


def find_owner(app: App, tx: Transaction, wanted: int | str | None) -> User | None:
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


def _find(tx: Transaction, wanted: int | str) -> User | None:
    return tx.users.find(wanted) if isinstance(wanted, int) else tx.users.find_by_login(wanted)


def _drift(field: str, agent_value: object, definition_value: object) -> Drift | None:
    # As JSON, since Python takes 1, 1.0 and True in a config for the same.
    agent_json, definition_json = _json(agent_value), _json(definition_value)
    if agent_json == definition_json:
        return None
    return Drift(field, agent_json[:_LONGEST_VALUE], definition_json[:_LONGEST_VALUE])


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
