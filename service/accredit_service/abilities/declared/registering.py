"""Registering definitions, taking them back, suppressing them; and looking at all there are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from accredit_storage.records import ChangeKind, StoredDefinition, SubjectKind
from accredit_storage.store import Transaction

from ..calls import snapshots
from ..calls.app import App
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    RightsLock,
    Written,
    check_etag,
    mutate,
)
from ..calls.paging import Cursor, Page, PageRequest
from ..calls.reads import Ask, reading
from ..definitions import definitions
from ..definitions.declaring import MAX_SOURCE, define
from ..definitions.definitions import Standing, not_declared, stored_etag
from ..errors import FailedPrecondition, NotFound, Reason
from ..extensions.declarations import Definition
from ..input import slugs, texts
from ..input.agent_refs import clean_slug
from ..input.user_refs import require_user
from ..policy.subjects import subject
from .planning import Result, plan

MAX_SHOWN = 100
# Held by whoever changes definitions: of two that are registered at once, one is the later.
_DEFINITIONS = "definitions"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterAgent:
    """A definition as a caller gives it: an empty source stands for the caller's login.

    ``etag`` empty: whatever the source has declared so far.
    """

    definition: Definition
    etag: str


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
class DefinitionPage:
    """A page of definitions, and what is wrong with packages and manifests: on the first page."""

    page: Page[Standing]
    notices: Sequence[str]


def register_agent(
    app: App, call: MutatingCall, command: RegisterAgent
) -> Written[Registered] | Replayed:
    """Declare an agent, or declare it anew.

    Raises NotFound for an owner whom nobody knows, Aborted for another etag.
    """
    source = _source(command.definition.source)
    given, notices = define(command.definition)
    resolver = given.owner_resolver
    if resolver and resolver not in app.declarations.owner_resolvers:
        notices.append(f"owner_resolver: this server has no {resolver!r}")

    def perform(mutation: Mutation) -> Effect[Registered]:
        tx = mutation.tx
        tx.exclusive(_DEFINITIONS)
        owner = None if given.owner is None else require_user(tx, given.owner)
        of = source or mutation.caller.user.login
        check_etag(command.etag, stored_etag(tx.definitions.find(given.slug, source=of, lock=True)))
        before, after = tx.definitions.put(
            agent_slug=given.slug,
            source=of,
            label=given.label,
            description=given.description,
            memory_seeds=dict(given.memory_seeds),
            owner_id=None if owner is None else owner.user_id,
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

    return mutate(app, call, perform, lock=RightsLock.SHARED)


def unregister_agent(
    app: App, call: MutatingCall, agent_slug: str, source: str, etag: str
) -> Written[Standing] | Replayed:
    """Take back what a source has registered, the caller's own for an empty one.

    Raises NotFound, FailedPrecondition for what the server itself declares, Aborted for another
    etag.
    """
    slug = clean_slug("agent_slug", agent_slug)
    stated = _source(source)

    def perform(mutation: Mutation) -> Effect[Standing]:
        tx = mutation.tx
        tx.exclusive(_DEFINITIONS)
        of = stated or mutation.caller.user.login
        kept = tx.definitions.find(slug, source=of, lock=True)
        if kept is None:
            raise _not_registered(app, tx, slug, of)
        check_etag(etag, stored_etag(kept))
        shown, _ = _shown(app, tx, kept)
        tx.definitions.remove(slug, source=of)
        return Effect(
            value=shown,
            kind=ChangeKind.DEFINITION_UNREGISTERED,
            subjects=(subject(SubjectKind.DEFINITION, slug),),
            before=snapshots.of_definition(kept),
        )

    return mutate(app, call, perform, lock=RightsLock.SHARED)


def suppress_agent(app: App, call: MutatingCall, name: str) -> Written[Suppressed] | Replayed:
    """Keep definitions of a slug or of a source from contributing."""

    def suppress(mutation: Mutation, cleaned: str) -> bool:
        by = mutation.caller.user.user_id
        return mutation.tx.suppressions.put(cleaned, by, mutation.now)

    return _set_suppressed(app, call, name, suppress, suppressed=True)


def unsuppress_agent(app: App, call: MutatingCall, name: str) -> Written[Suppressed] | Replayed:
    """Let definitions of a slug or of a source contribute again."""

    def unsuppress(mutation: Mutation, cleaned: str) -> bool:
        return mutation.tx.suppressions.remove(cleaned)

    return _set_suppressed(app, call, name, unsuppress, suppressed=False)


def _set_suppressed(
    app: App,
    call: MutatingCall,
    name: str,
    change: Callable[[Mutation, str], bool],
    *,
    suppressed: bool,
) -> Written[Suppressed] | Replayed:
    given = texts.name("name", name)

    def perform(mutation: Mutation) -> Effect[Suppressed]:
        tx = mutation.tx
        tx.exclusive(_DEFINITIONS)
        cleaned = _meant(app, tx, given)
        changed = change(mutation, cleaned)
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
            before={"suppressed": not suppressed},
            after={"suppressed": suppressed},
        )

    return mutate(app, call, perform, lock=RightsLock.SHARED)


def _meant(app: App, tx: Transaction, name: str) -> str:
    """The name itself, unless it is only known as it is cleaned: "Wiki Gen" as wiki-gen."""
    known = {
        part for one in definitions.all_definitions(app, tx) for part in (one.slug, one.source)
    }
    slug = slugs.clean(name)
    return slug if name not in known and slug in known else name


def get_definition(app: App, ask: Ask, agent_slug: str) -> tuple[Standing, Result]:
    """The definition of a slug that wins, and what becomes of it. Raises NotFound."""
    slug = clean_slug("agent_slug", agent_slug)
    with reading(app, ask) as (tx, _caller, _now, _head):
        standing = definitions.standing_of(app, tx, slug)
        if standing is None:
            raise not_declared(slug)
        return standing, plan(app, tx, standing, tx.agents.find_by_slug(slug))


def read_seeds(app: App, ask: Ask, agent_slug: str) -> Mapping[str, str]:
    """The texts of the seeds of a slug's definition that wins, by filename. Raises NotFound."""
    slug = clean_slug("agent_slug", agent_slug)
    with reading(app, ask) as (tx, _caller, _now, _head):
        standing = definitions.standing_of(app, tx, slug)
        if standing is None:
            raise not_declared(slug)
        return definitions.texts_of(tx, standing.definition)


def list_definitions(app: App, ask: Ask, page: PageRequest) -> DefinitionPage:
    """One page of the definitions that win, in the order in which reconciling takes them."""
    with reading(app, ask) as (tx, caller, _now, head):
        cursor = Cursor(page, caller, head.epoch)
        after = cursor.after(int, int, int)
        found = definitions.page_of_standings(app, tx, after=after, limit=cursor.size + 1)
        shown = cursor.page(found, lambda standing: standing.order)
    notices = [] if after else app.declarations.notices[:MAX_SHOWN]
    return DefinitionPage(shown, notices)


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
    shown = Standing(definition=definition, suppressed=suppressed, overrides=(), order=wins.order)
    return shown, wins


def _not_registered(
    app: App, tx: Transaction, slug: str, source: str
) -> NotFound | FailedPrecondition:
    others = sorted(one.source for one in tx.definitions.of_slug(slug))
    here = definitions.declared_here(app, tx, slug)
    if here and not others:
        return FailedPrecondition(
            Reason.MANIFEST_OWNED,
            "{agent_slug!r} is declared by {source}: remove it there, or suppress it",
            agent_slug=slug,
            source=here[-1].source,
        )
    hint = f"; registered by: {', '.join(others)}"[:200] if others else ""
    return NotFound(
        Reason.DEFINITION_NOT_FOUND,
        "{source!r} has registered no definition {agent_slug!r}{hint}",
        agent_slug=slug,
        source=source,
        hint=hint,
    )
