"""The sites that share one network of agents."""

from accredit_storage.records import ChangeKind, NewSite, Site, SiteId, SubjectKind
from accredit_storage.store import Transaction

from .calls import snapshots
from .calls.app import App
from .calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    RightsLock,
    Written,
    check_etag,
    mutate,
)
from .calls.mutations import etag as etag_of
from .calls.paging import Cursor, Page, PageRequest
from .calls.reads import Ask, reading
from .errors import AlreadyExists, FailedPrecondition, NotFound, Reason
from .input import texts
from .input.agent_refs import clean_slug
from .policy.subjects import subject

# An id, or a clean slug.
SiteRef = SiteId | str


def create_site(app: App, call: MutatingCall, new: NewSite) -> Written[Site] | Replayed:
    """Add a site."""
    slug = clean_slug("site_slug", new.site_slug, Reason.FIELD_INVALID)
    new = NewSite(site_slug=slug, site_name=texts.one_line("site_name", new.site_name) or slug)

    def perform(mutation: Mutation) -> Effect[Site]:
        site = mutation.tx.sites.add(new, at=mutation.now)
        if site is None:
            raise AlreadyExists(
                Reason.SITE_SLUG_CONFLICT,
                "a site {site_slug!r} already exists: choose another slug",
                site_slug=slug,
            )
        return Effect(
            value=site,
            kind=ChangeKind.SITE_CREATED,
            subjects=(subject(SubjectKind.SITE, site.site_id),),
            after=snapshots.of_site(site),
        )

    return mutate(app, call, perform, lock=RightsLock.SHARED)


def get_site(app: App, ask: Ask, ref: SiteRef) -> Site:
    """One site. Raises NotFound."""
    with reading(app, ask) as (tx, _caller, _now, _head):
        return _require_site(tx, ref)


def list_sites(app: App, ask: Ask, page: PageRequest) -> Page[Site]:
    """One page of sites by id."""
    with reading(app, ask) as (tx, caller, _now, head):
        cursor = Cursor(page, caller, head.epoch)
        after = cursor.after(int)
        found = tx.sites.page(after=None if after is None else after[0], limit=cursor.size + 1)
        return cursor.page(found, lambda site: (site.site_id,))


def delete_site(app: App, call: MutatingCall, ref: SiteRef, etag: str) -> Written[Site] | Replayed:
    """Remove a site that no agent is scoped to."""

    def perform(mutation: Mutation) -> Effect[Site]:
        site = _require_site(mutation.tx, ref, lock=True)
        check_etag(etag, etag_of(site.version))
        agents = mutation.tx.sites.agent_count(site.site_id)
        if agents:
            raise FailedPrecondition(
                Reason.SITE_IN_USE,
                "{agents} agents are scoped to {site_slug!r}: give them another scope first",
                agents=agents,
                site_slug=site.site_slug,
            )
        mutation.tx.sites.delete(site.site_id)
        return Effect(
            value=site,
            kind=ChangeKind.SITE_DELETED,
            subjects=(subject(SubjectKind.SITE, site.site_id),),
            before=snapshots.of_site(site),
        )

    return mutate(app, call, perform, lock=RightsLock.SHARED)


def _require_site(tx: Transaction, ref: SiteRef, *, lock: bool = False) -> Site:
    if isinstance(ref, int):
        site = tx.sites.find(ref, lock=lock)
    else:
        site = tx.sites.find_by_slug(ref, lock=lock)
    if site is None:
        raise NotFound(Reason.SITE_NOT_FOUND, "there is no site {ref!r}", ref=ref)
    return site
