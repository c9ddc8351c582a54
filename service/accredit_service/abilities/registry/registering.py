"""Registering definitions, taking them back, suppressing them; and looking at all there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accredit_storage.records import ChangeKind, StoredDefinition, SubjectKind
from accredit_storage.store import Transaction

from .. import slugs, snapshots, texts
from ..agent_refs import clean_slug
from ..app import App
from ..errors import FailedPrecondition, NotFound, Reason
from ..mutations import Call, Effect, Mutation, Replayed, Written, mutate
from ..paging import Cursor, Page, PageRequest
from ..reads import Ask, reading
from ..subjects import subject
from . import definitions
from .declarations import DEFAULT_PRIORITY, Definition, Origin
from .declaring import MAX_SOURCE, define
from .definitions import Standing
from .planning import Result, plan

MAX_SHOWN = 100
# Held by whoever changes definitions: of two that are registered at once, one is the later.
_DEFINITIONS = "definitions"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterAgent:
    """A definition as a caller gives it. ``source`` empty: the caller's login."""

    agent_slug: str
    label: str
    description: str
    memory_seeds: Mapping[str, str]
    owner: int | str | None
    owner_resolver: str
    default_config: Mapping[str, Any]
    meta: Mapping[str, Any]
    priority: int | None
    source: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A definition as it is kept, whether it wins or not; ``outcome`` is what its slug comes to."""

    definition: Standing
    changed: bool
    outcome: Result
    notices: Sequence[str]


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Whether the suppression, or its end, was new; and the slugs that declare by that name."""

    changed: bool
    agent_slugs: Sequence[str]


@dataclass(frozen=True, slots=True)
class Listed:
    """A definition without the texts of its seeds: of each the size in bytes, by filename."""

    standing: Standing
    seed_sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DefinitionPage:
    """A page of definitions, and what is wrong with packages and manifests: on the first page."""

    page: Page[Listed]
    notices: Sequence[str]


def register_agent(app: App, call: Call, command: RegisterAgent) -> Written[Registered] | Replayed:
    """Declare an agent, or declare it anew."""
    source = _source(command.source)
    given, notices = define(
        slug=command.agent_slug,
        origin=Origin.REGISTERED,
        source=source,
        label=command.label,
        description=command.description,
        memory_seeds=command.memory_seeds,
        owner=command.owner,
        owner_resolver=command.owner_resolver,
        default_config=command.default_config,
        meta=command.meta,
        priority=DEFAULT_PRIORITY if command.priority is None else command.priority,
    )
    resolver = given.owner_resolver
    if resolver and resolver not in app.declarations.owner_resolvers:
        notices.append(f"owner_resolver: this server has no {resolver!r}")

    def decide(mutation: Mutation) -> Effect[Registered]:
        tx = mutation.tx
        tx.exclusive(_DEFINITIONS)
        before, after = tx.definitions.put(
            agent_slug=given.slug,
            source=source or mutation.caller.user.login,
            label=given.label,
            description=given.description,
            memory_seeds=given.memory_seeds,
            owner_id=given.owner if isinstance(given.owner, int) else None,
            owner_login=given.owner if isinstance(given.owner, str) else "",
            owner_resolver=given.owner_resolver,
            default_config=given.default_config,
            meta=given.meta,
            priority=given.priority,
            registered_by=mutation.caller.user.user_id,
            at=mutation.now,
        )
        shown, wins = _shown(app, tx, after)
        outcome = plan(app, tx, wins, tx.agents.find_by_slug(given.slug))
        registered = Registered(shown, before is not after, outcome, notices)
        if not registered.changed:
            return Effect(value=registered)
        return Effect(
            value=registered,
            kind=ChangeKind.DEFINITION_REGISTERED,
            subjects=(subject(SubjectKind.DEFINITION, given.slug),),
            before=None if before is None else snapshots.of_definition(before),
            after=snapshots.of_definition(after),
        )

    return mutate(app, call, decide, takes_nothing=True)


def unregister_agent(
    app: App, call: Call, agent_slug: str, source: str
) -> Written[Standing] | Replayed:
    """Take back what a source has registered, the caller's own for an empty one."""
    slug = clean_slug("agent_slug", agent_slug)
    stated = _source(source)

    def decide(mutation: Mutation) -> Effect[Standing]:
        tx = mutation.tx
        tx.exclusive(_DEFINITIONS)
        of = stated or mutation.caller.user.login
        kept = tx.definitions.find(slug, of, lock=True)
        if kept is None:
            raise _not_registered(app, tx, slug, of)
        shown, _ = _shown(app, tx, kept)
        tx.definitions.remove(slug, of)
        return Effect(
            value=shown,
            kind=ChangeKind.DEFINITION_UNREGISTERED,
            subjects=(subject(SubjectKind.DEFINITION, slug),),
            before=snapshots.of_definition(kept),
        )

    return mutate(app, call, decide, takes_nothing=True)


def suppress_agent(
    app: App, call: Call, name: str, *, lift: bool
) -> Written[Suppressed] | Replayed:
    """Keep definitions of a slug or of a source from contributing, or let them again."""
    given = texts.name("name", name)

    def decide(mutation: Mutation) -> Effect[Suppressed]:
        tx = mutation.tx
        tx.exclusive(_DEFINITIONS)
        cleaned = _meant(app, tx, given)
        if lift:
            changed = tx.suppressions.remove(cleaned)
        else:
            by = mutation.caller.user.user_id
            changed = tx.suppressions.put(cleaned, by, mutation.now)
        named = [
            one.slug
            for one in definitions.all_definitions(app, tx)
            if cleaned in (one.slug, one.source)
        ]
        value = Suppressed(changed, sorted(set(named))[:MAX_SHOWN])
        if not changed:
            return Effect(value=value)
        return Effect(
            value=value,
            kind=ChangeKind.DEFINITION_SUPPRESSED,
            subjects=(subject(SubjectKind.DEFINITION, cleaned),),
            before={"suppressed": lift},
            after={"suppressed": not lift},
        )

    return mutate(app, call, decide, takes_nothing=True)


def _meant(app: App, tx: Transaction, name: str) -> str:
    """The name itself, unless it is only known as it is cleaned: "Wiki Gen" as wiki-gen."""
    known = {
        part for one in definitions.all_definitions(app, tx) for part in (one.slug, one.source)
    }
    slug = slugs.clean(name)
    return slug if name not in known and slug in known else name


def get_definition(app: App, ask: Ask, agent_slug: str) -> tuple[Standing, Result]:
    """The definition of a slug that wins, and what reconciling would do. Raises NotFound."""
    slug = clean_slug("agent_slug", agent_slug)
    with reading(app, ask) as (tx, _caller, _now, _head):
        standing = definitions.standing_of(app, tx, slug)
        if standing is None:
            raise _not_found(slug)
        return standing, plan(app, tx, standing, tx.agents.find_by_slug(slug))


def list_definitions(app: App, ask: Ask, page: PageRequest) -> DefinitionPage:
    """One page of the definitions that win, in the order in which reconciling takes them."""
    with reading(app, ask) as (tx, caller, _now, head):
        cursor = Cursor(page, caller, head.epoch)
        after = cursor.after(int, int, int)
        found = definitions.all_standings(app, tx)
        if after is not None:
            found = [standing for standing in found if standing.place > after]
        shown = cursor.page(found[: cursor.size + 1], lambda standing: standing.place)
        items = [Listed(one, _seed_sizes(tx, one.definition)) for one in shown.items]
    notices = [] if after else app.declarations.notices[:MAX_SHOWN]
    listed = Page(items, shown.next_token, lambda one: cursor.continuing(one.standing.place))
    return DefinitionPage(listed, notices)


def sizes(memory_seeds: Mapping[str, str]) -> Mapping[str, int]:
    """How many bytes of UTF-8 each of them has."""
    return {filename: len(text.encode()) for filename, text in memory_seeds.items()}


def _seed_sizes(tx: Transaction, definition: Definition) -> Mapping[str, int]:
    if definition.origin is not Origin.REGISTERED:
        return sizes(definition.memory_seeds)
    # One at a time: of a whole page they may be gigabytes.
    stored = tx.definitions.find(definition.slug, definition.source)
    return {} if stored is None else sizes(stored.memory_seeds)


def _source(text: str) -> str:
    return texts.one_line("source", text, limit=MAX_SOURCE)


def _shown(app: App, tx: Transaction, stored: StoredDefinition) -> tuple[Standing, Standing]:
    """A registered definition, whether it wins or not; and what wins."""
    definition = definitions.from_store(stored)
    wins = definitions.standing_of(app, tx, definition.slug)
    assert wins is not None  # noqa: S101 - there is this one at least
    if wins.definition == definition:
        return wins, wins
    suppressed = definitions.is_suppressed(definition, definitions.suppressed_names(app, tx))
    shown = Standing(definition=definition, suppressed=suppressed, overrides=(), place=wins.place)
    return shown, wins


def _not_registered(
    app: App, tx: Transaction, slug: str, source: str
) -> NotFound | FailedPrecondition:
    others = sorted(one.source for one in tx.definitions.of_slug(slug))
    here = definitions.declared_here(app, tx, slug)
    if here and not others:
        return FailedPrecondition(
            Reason.MANIFEST_OWNED,
            f"{slug!r} is declared by {here[-1].source}: remove it there, or suppress it",
            metadata={"agent_slug": slug, "source": here[-1].source},
        )
    hint = f"; registered by: {', '.join(others)}"[:200] if others else ""
    return NotFound(
        Reason.DEFINITION_NOT_FOUND,
        f"{source!r} has registered no definition {slug!r}{hint}",
        metadata={"agent_slug": slug, "source": source},
    )


def _not_found(slug: str) -> NotFound:
    return NotFound(
        Reason.DEFINITION_NOT_FOUND,
        f"nobody declares an agent {slug!r}",
        metadata={"agent_slug": slug},
    )
