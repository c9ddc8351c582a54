"""What starter files begin with: a chain of generators, each of which may pass on or replace.

The chain goes by priority: at 5 what the agent's definition has for the file, at 10 the defaults
below where there is nothing yet, at 20 and after that whatever plugins make of it.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from accredit_storage.records import Agent, MemoryLayer, User

log = logging.getLogger(__name__)

#: Where plugins stand that do not say where.
OVERRIDES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaffoldContext:
    """Which file is to be made, and for whom.

    ``agent`` in the agent layer, with id 0 while it is being created; ``user`` in the user layer.
    ``seeds`` are the texts that the agent's definition has, by filename.
    """

    filename: str
    layer: MemoryLayer
    agent: Agent | None = None
    user: User | None = None
    seeds: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ContentGenerator:
    """One link of the chain: from the context and the text so far to the text. "" stands for none.

    One that raises, or answers something else, is logged and passed over.
    """

    name: str
    priority: int
    generate: Callable[[ScaffoldContext, str], str]


def content(generators: Iterable[ContentGenerator], context: ScaffoldContext) -> str:
    """What a file is to begin with: trimmed, with the end of its last line; "" for nothing."""
    text = ""
    for generator in sorted(generators, key=lambda one: (one.priority, one.name)):
        try:
            made = generator.generate(context, text)
        except (Exception, SystemExit):
            log.exception("generator failed", extra={"fields": {"generator": generator.name}})
            continue
        if isinstance(made, str):
            text = made
    text = text.strip()
    return f"{text}\n" if text else ""


def _seed(context: ScaffoldContext, text: str) -> str:
    return text or context.seeds.get(context.filename, "")


def _default(context: ScaffoldContext, text: str) -> str:
    template = _TEMPLATES.get(context.filename, "")
    return text or template.replace("{name}", _name(context))


def _name(context: ScaffoldContext) -> str:
    if context.agent is not None:
        return context.agent.agent_name or context.agent.agent_slug
    if context.user is not None:
        return context.user.display_name or context.user.login
    # The one of the time before there were several has no row to take a name from.
    return "Agent"


_TEMPLATES: Final = {
    "SOUL.md": """# {name}

You are {name}, an AI agent.

## Purpose

Say here what you are for.

## Character

Say here how you speak, and what you never do.
""",
    "USER.md": """# The people you work for

Keep here what you know of them: what they are called, what they prefer, what they work on.
""",
    "MEMORY.md": """# Memory

Keep here what you have to know in every conversation. What happened on a day belongs into that day
of the journal.
""",
    "SITE.md": """# This site

What every agent should know of the place where it works.
""",
    "RULES.md": """# Rules

What holds for every agent, whatever else it was told.
""",
    "NETWORK.md": """# The network

What every agent should know of the sites that share this network.
""",
}

DEFAULT_GENERATORS: Final = (
    ContentGenerator("memory-seeds", 5, _seed),
    ContentGenerator("defaults", 10, _default),
)
