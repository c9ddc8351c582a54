"""Which agents are declared, by all origins together, and which definition of a slug wins."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from accredit_storage.declared_slugs import DeclaredSlug, OwnDefinition, SlugQuery
from accredit_storage.records import StoredDefinition, User, UserId
from accredit_storage.store import Transaction

from ..calls.app import App
from ..calls.mutations import etag
from ..errors import NotFound, Reason
from ..extensions.declarations import Definition, Origin
from ..input import slugs

#: The source of the default administrator's agent, by which it is suppressed.
DEFAULT_AGENT = "default-agent"
#: How many of the definitions that lose are told of.
MAX_OVERRIDES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A slug's definition that wins, and the sources of those over which it does, at most 100.

    ``suppressed``: no definition of the slug may contribute; this is the one that would win.
    ``order`` is where the slug was first declared. Lists go by it; no two slugs share one.
    """

    definition: Definition
    suppressed: bool
    overrides: Sequence[str]
    order: tuple[int, int, int]


def merged(definitions: Iterable[Definition], suppressed: Set[str]) -> list[Standing]:
    """The definitions that win, in the order in which their slugs were first declared."""
    by_slug: dict[str, list[Definition]] = {}
    for definition in definitions:
        by_slug.setdefault(definition.slug, []).append(definition)
    found = [_standing(each, suppressed) for each in by_slug.values()]
    return sorted(found, key=lambda standing: standing.order)


def all_standings(app: App, tx: Transaction) -> list[Standing]:
    """What wins of all there are."""
    return merged(all_definitions(app, tx), suppressed_names(app, tx))


def page_of_standings(
    app: App, tx: Transaction, *, after: tuple[int, int, int] | None, limit: int
) -> list[Standing]:
    """Up to ``limit`` of what wins, from behind the order ``after``, as ``all_standings`` has it.

    One statement, beside the one that finds the default owner: what their agent is called is
    nothing that the database can say.
    """
    own = _of_server(app, tx)
    query = SlugQuery(
        own=[
            OwnDefinition(one.slug, one.source, one.priority, one.origin.value, one.order)
            for one in own
        ],
        suppressed=app.declarations.suppressed,
        after=after,
        limit=limit,
        most_others=MAX_OVERRIDES,
    )
    return [_listed(found, own) for found in tx.declared_slugs.page(query)]


def all_definitions(app: App, tx: Transaction) -> list[Definition]:
    """Every definition there is."""
    return [*map(from_store, tx.definitions.all()), *_of_server(app, tx)]


def standing_of(app: App, tx: Transaction, slug: str) -> Standing | None:
    """That of one slug; None if nobody declares it."""
    found = [*map(from_store, tx.definitions.of_slug(slug)), *declared_here(app, tx, slug)]
    return _standing(found, suppressed_names(app, tx)) if found else None


def winning(app: App, tx: Transaction, slug: str) -> Definition | None:
    """The definition of a slug that contributes."""
    standing = standing_of(app, tx, slug)
    return None if standing is None or standing.suppressed else standing.definition


def seeds_for(app: App, tx: Transaction, slug: str, owner_id: UserId) -> Mapping[str, str]:
    """What files of the slug's agent are to begin with, by filename, while this user owns it.

    Nothing where the definition means another owner: who has its slug by other means has no right
    to what it says. Whom an owner resolver means is asked when the agent is created and not again,
    so that its seeds are for that moment only.
    """
    definition = winning(app, tx, slug)
    if definition is None or _owner_meant(app, tx, definition) != owner_id:
        return {}
    return texts_of(tx, definition)


def texts_of(tx: Transaction, definition: Definition) -> Mapping[str, str]:
    """The texts of a definition's seeds, by filename."""
    if definition.origin is Origin.REGISTERED:
        return tx.definitions.seed_texts(definition.order)
    return dict(definition.memory_seeds)


def is_for_another(app: App, tx: Transaction, slug: str, user_id: UserId) -> bool:
    """Whether the slug is declared, and not for this user: then it is not theirs to take.

    A suppressed definition keeps its slug all the same, for it may contribute again.
    """
    standing = standing_of(app, tx, slug)
    return standing is not None and _owner_meant(app, tx, standing.definition) != user_id


def _owner_meant(app: App, tx: Transaction, definition: Definition) -> int | None:
    """The id of the user whom a definition means, None where only its resolver could say."""
    if definition.asks_for_owner:
        return None
    if isinstance(definition.owner, int):
        return definition.owner
    if definition.owner is None:
        owner = default_owner(app, tx)
    else:
        owner = tx.users.find_by_login(definition.owner)
    return None if owner is None else owner.user_id


def declared_here(app: App, tx: Transaction, slug: str) -> list[Definition]:
    """The slug's definitions of this server's own: of packages, manifests and the default agent."""
    return [definition for definition in _of_server(app, tx) if definition.slug == slug]


def suppressed_names(app: App, tx: Transaction) -> Set[str]:
    """The slugs and sources that may not contribute."""
    return app.declarations.suppressed | {one.name for one in tx.suppressions.all()}


def is_suppressed(definition: Definition, names: Set[str]) -> bool:
    """Whether one of the names is the definition's slug or its source."""
    return definition.slug in names or definition.source in names


def default_owner(app: App, tx: Transaction) -> User | None:
    """Who owns agents that say nothing of it: the user who is set, else the first administrator.

    None where the user who is set is gone or inactive: their agents are nobody else's.
    """
    login = app.declarations.default_owner
    if not login:
        return tx.users.first_administrator()
    user = tx.users.find_by_login(login)
    return user if user is not None and user.active else None


def default_agent(app: App, tx: Transaction) -> Definition | None:
    """The definition of the default owner's own agent, if it is switched on and has an owner."""
    user = default_owner(app, tx) if app.declarations.default_agent else None
    slug = "" if user is None else slugs.clean(user.login)
    if user is None or not slug or slugs.is_numeric(slug):
        return None
    return Definition(
        slug=slug,
        label=user.display_name or user.login,
        description="Default site administrator agent.",
        owner=user.user_id,
        default_config={},
        meta={},
        origin=Origin.SERVER,
        source=DEFAULT_AGENT,
    )


def from_store(stored: StoredDefinition) -> Definition:
    """A registered definition."""
    return Definition(
        slug=stored.agent_slug,
        label=stored.label,
        description=stored.description,
        seed_sizes={filename: seed.size for filename, seed in stored.memory_seeds.items()},
        owner=stored.owner_id or stored.owner_login or None,
        owner_resolver=stored.owner_resolver,
        default_config=stored.default_config,
        meta=stored.meta,
        priority=stored.priority,
        origin=Origin.REGISTERED,
        source=stored.source,
        updated_at=stored.updated_at,
        etag=stored_etag(stored),
        order=stored.definition_id,
        turn=stored.turn,
    )


def not_declared(slug: str) -> NotFound:
    """The refusal of a slug that nobody declares."""
    return NotFound(
        Reason.DEFINITION_NOT_FOUND, "nobody declares an agent {agent_slug!r}", agent_slug=slug
    )


def stored_etag(stored: StoredDefinition | None) -> str:
    """The etag of a registered definition, "" where there is none."""
    return "" if stored is None else etag(stored.version, stored.created_at)


def _of_server(app: App, tx: Transaction) -> list[Definition]:
    default = default_agent(app, tx)
    return [*app.declarations.definitions, *([] if default is None else [default])]


def _standing(of_slug: Sequence[Definition], suppressed: Set[str]) -> Standing:
    left = [definition for definition in of_slug if not is_suppressed(definition, suppressed)]
    among = left or of_slug
    *others, wins = sorted(among, key=_strength)
    return Standing(
        definition=wins,
        suppressed=not left,
        overrides=_strongest((_strength(other), other.source) for other in others),
        order=min((one.priority, one.origin.value, one.order) for one in among),
    )


def _listed(found: DeclaredSlug, own: Sequence[Definition]) -> Standing:
    """What a slug comes to, of whose stored definitions only the strongest is known in full."""
    among = [own[number] for number in found.own]
    if found.strongest is not None:
        among.append(from_store(found.strongest))
    *others, wins = sorted(among, key=_strength)
    overridden = [(_strength(other), other.source) for other in others]
    overridden += [
        ((other.priority, Origin.REGISTERED.value, other.turn), other.source)
        for other in found.others
    ]
    return Standing(
        definition=wins,
        suppressed=found.suppressed,
        overrides=_strongest(overridden),
        order=found.order,
    )


def _strength(definition: Definition) -> tuple[int, int, int]:
    """The highest wins: of the highest priority, then of the last origin, then the last one."""
    return (definition.priority, definition.origin.value, definition.turn)


def _strongest(others: Iterable[tuple[tuple[int, int, int], str]]) -> Sequence[str]:
    """The sources of those that lose, of the strongest of them where there are more."""
    return [source for _, source in sorted(others)][-MAX_OVERRIDES:]
