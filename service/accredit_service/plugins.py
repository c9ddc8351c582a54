"""Python packages beside the server: the agents they declare, and what else they bring.

* ``accredit.agents``: callables that are given an AgentRegistrar when the server starts, one after
  the other by their attribute ``priority``, 10 without one, and then by name.
* ``accredit.owner_resolvers``: from an agent's slug to the id of the user who is to own it. Loaded
  when first asked.
* ``accredit.scaffold``: from a ScaffoldContext and a starter file's text so far to its text; their
  attribute ``priority`` is 20 without one.

A package is code of the operator's choice and runs with the server's own rights. One that fails is
told of and passed over.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from accredit_storage.records import UserId

from . import logs
from .abilities.definitions.declaring import MAX_SEED_BYTES, define
from .abilities.errors import InvalidArgument
from .abilities.extensions.declarations import (
    DEFAULT_PRIORITY,
    Definition,
    Origin,
    OwnerResolver,
)
from .abilities.extensions.generators import OVERRIDES, ContentGenerator

log = logging.getLogger(__name__)

AGENTS = "accredit.agents"
OWNER_RESOLVERS = "accredit.owner_resolvers"
SCAFFOLD = "accredit.scaffold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """What the packages have brought, and what was wrong with them, for a person to read."""

    definitions: Sequence[Definition]
    owner_resolvers: Mapping[str, OwnerResolver]
    generators: Sequence[ContentGenerator]
    notices: Sequence[str]


class AgentRegistrar:
    """Takes down the agents that one entry point declares. Nothing is created by that."""

    def __init__(self, source: str, priority: int) -> None:
        self._source = source
        self._priority = priority
        self.definitions: list[Definition] = []
        self.notices: list[str] = []

    def register(
        self,
        slug: str,
        *,
        label: str = "",
        description: str = "",
        memory_seeds: Mapping[str, str | Path] | None = None,
        owner: int | str | None = None,
        owner_resolver: Callable[[], object] | None = None,
        default_config: Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        **unknown: object,
    ) -> Definition | None:
        """Declare an agent: its definition, or None and a notice if that breaks a rule.

        ``memory_seeds`` are the absolute paths of files, by the name of the file that is to begin
        with them; one that cannot be read falls through to the defaults. ``owner`` is the id or the
        login of a user. ``owner_resolver`` is called instead, once, when the agent is created, and
        answers an id. What is ``unknown`` is left out with a notice.
        """
        for name in unknown:
            self._notice(slug, f"{name}: not known, and left out")
        wrong = _wrong_type(
            slug, label, description, memory_seeds, owner, owner_resolver, default_config, meta
        )
        if wrong:
            self._notice(slug, f"{wrong}: rejected")
            return None
        try:
            definition, left_out = define(
                Definition(
                    slug=slug,
                    origin=Origin.ENTRY_POINT,
                    source=self._source,
                    label=label,
                    description=description,
                    memory_seeds=tuple(self._texts(slug, memory_seeds or {}).items()),
                    owner=UserId(owner) if isinstance(owner, int) else owner,
                    resolve_owner=owner_resolver,
                    default_config=default_config or {},
                    meta=meta or {},
                    priority=self._priority,
                )
            )
        except InvalidArgument as refusal:
            self._notice(slug, f"{refusal.message}: rejected")
            return None
        for notice in left_out:
            self._notice(slug, notice)
        self.definitions.append(definition)
        return definition

    def _texts(self, slug: str, seeds: Mapping[str, str | Path]) -> Mapping[str, str]:
        found = {}
        for name, path in seeds.items():
            if not name or not str(path):
                continue
            try:
                found[name] = _text(Path(path))
            except (OSError, ValueError) as error:
                self._notice(slug, f"memory_seeds: {name}: {error}: left out")
        return found

    def _notice(self, slug: object, text: str) -> None:
        self.notices.append(f"{self._source}: {str(slug)[:80]!r}: {text}")


def load(suppressed: Collection[str] = ()) -> Plugins:
    """Ask every package. Entry points for agents whose name is suppressed are not even loaded."""
    notices: list[str] = []
    found = [
        (_priority(name, declare, DEFAULT_PRIORITY, notices), name, declare)
        for name, declare in _loaded(AGENTS, notices, suppressed)
    ]
    definitions: list[Definition] = []
    for priority, name, declare in sorted(found, key=lambda one: one[:2]):
        registrar = AgentRegistrar(name, priority)
        try:
            declare(registrar)
        except (Exception, SystemExit) as error:
            log.exception("entry point failed", extra=logs.fields(group=AGENTS, name=name))
            notices.append(f"{name}: failed, and declares nothing: {error!r}")
            continue
        definitions += registrar.definitions
        notices += registrar.notices
    for notice in notices:
        log.warning("package", extra=logs.fields(why=notice))
    generators = [
        ContentGenerator(name, _priority(name, generate, OVERRIDES, notices), generate)
        for name, generate in _loaded(SCAFFOLD, notices)
    ]
    resolvers = {point.name: _resolver(point) for point in _points(OWNER_RESOLVERS)}
    return Plugins(
        definitions=definitions,
        owner_resolvers=resolvers,
        generators=generators,
        notices=notices,
    )


def _points(group: str) -> Sequence[EntryPoint]:
    # By name and what they name: the order of packages on the path decides nothing.
    return sorted(entry_points(group=group), key=lambda point: (point.name, point.value))


def _loaded(
    group: str, notices: list[str], suppressed: Collection[str] = ()
) -> list[tuple[str, Any]]:
    found = []
    for point in _points(group):
        if point.name in suppressed:
            continue
        try:
            target = point.load()
            if not callable(target):
                raise TypeError("it cannot be called")
            found.append((point.name, target))
        except (Exception, SystemExit) as error:
            log.exception("entry point failed", extra=logs.fields(group=group, name=point.name))
            notices.append(f"{point.name}: cannot be loaded: {error!r}")
    return found


def _priority(name: str, target: object, default: int, notices: list[str]) -> int:
    priority = getattr(target, "priority", default)
    if isinstance(priority, int) and not isinstance(priority, bool):
        return priority
    notices.append(f"{name}: priority: a whole number; {default} is taken")
    return default


def _resolver(point: EntryPoint) -> OwnerResolver:
    def resolve(slug: str) -> object:
        return point.load()(slug)

    return resolve


def _wrong_type(
    slug: object,
    label: object,
    description: object,
    memory_seeds: object,
    owner: object,
    owner_resolver: object,
    default_config: object,
    meta: object,
) -> str:
    """The first argument that is not what it should be, and what that is; "" if all are."""
    texts = {"slug": slug, "label": label, "description": description}
    objects = {"default_config": default_config, "meta": meta}
    for name, value in texts.items():
        if not isinstance(value, str):
            return f"{name}: a text"
    for name, value in objects.items():
        if not isinstance(value, Mapping | None):
            return f"{name}: a mapping"
    if not (memory_seeds is None or _is_paths(memory_seeds)):
        return "memory_seeds: a mapping from file names to absolute paths"
    if not _is_owner(owner):
        return "owner: the id or the login of a user"
    if owner_resolver is not None and not callable(owner_resolver):
        return "owner_resolver: something that can be called"
    if owner is not None and owner_resolver is not None:
        return "owner_resolver: nothing where an owner is given"
    return ""


def _is_paths(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(path, str | Path) for name, path in value.items()
    )


def _is_owner(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | str | None)


def _text(path: Path) -> str:
    if not path.is_absolute():
        raise ValueError("an absolute path")
    with path.open("rb") as file:
        # A byte more than is allowed, so that whatever it is does not fill the memory.
        return file.read(MAX_SEED_BYTES + 1).decode()
