"""Records as JSON for the change log: everything that a reader of the log may know, no secret."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from accredit_storage.records import (
    Agent,
    Grant,
    MemoryFileType,
    Site,
    StoredDefinition,
    Token,
    TransferOffer,
    User,
)

Snapshot = Mapping[str, Any]


def of_agent(agent: Agent) -> Snapshot:
    """An agent, config included."""
    return {
        "agent_id": agent.agent_id,
        "agent_slug": agent.agent_slug,
        "agent_name": agent.agent_name,
        "owner_id": agent.owner_id,
        "config": agent.config,
        "status": agent.status.value,
        "site_scope": agent.site_scope,
        "version": agent.version,
    }


def of_grant(grant: Grant) -> Snapshot:
    """A grant."""
    return {
        "agent_id": grant.agent_id,
        "user_id": grant.user_id,
        "role": grant.role.name.lower(),
        "granted_by": grant.granted_by,
        "expire_time": _time(grant.expire_at),
        "version": grant.version,
    }


def of_token(token: Token) -> Snapshot:
    """A token, which has neither secret nor digest."""
    ceiling = token.ceiling
    return {
        "token_id": token.token_id,
        "agent_id": token.agent_id,
        "user_id": token.user_id,
        "label": token.label,
        "max_role": None if ceiling is None else ceiling.max_role.name.lower(),
        "capabilities": None if ceiling is None else list(ceiling.capabilities),
        "act_as_owner": token.act_as_owner,
        "created_by": token.created_by,
        "expire_time": _time(token.expire_at),
        "revoke_time": _time(token.revoked_at),
        "rotated_from": token.rotated_from,
        "replaced_by": token.replaced_by,
        "version": token.version,
    }


def of_user(user: User) -> Snapshot:
    """A user."""
    return {
        "user_id": user.user_id,
        "login": user.login,
        "kind": user.kind.value,
        "role": user.role.value,
        "display_name": user.display_name,
        "email": user.email,
        "active": user.active,
        "default_agent_id": user.default_agent_id,
        "version": user.version,
    }


def of_offer(offer: TransferOffer) -> Snapshot:
    """An offer of an agent to another owner."""
    return {
        "offer_id": offer.offer_id,
        "agent_id": offer.agent_id,
        "owner_id": offer.owner_id,
        "new_owner_id": offer.new_owner_id,
        "expire_time": _time(offer.expire_at),
    }


def of_site(site: Site) -> Snapshot:
    """A site."""
    return {
        "site_id": site.site_id,
        "site_slug": site.site_slug,
        "site_name": site.site_name,
        "version": site.version,
    }


def of_definition(definition: StoredDefinition) -> Snapshot:
    """A registered definition; of its seeds sizes and digests, since texts would fill the log."""
    return {
        "agent_slug": definition.agent_slug,
        "source": definition.source,
        "label": definition.label,
        "description": definition.description,
        "memory_seeds": {
            filename: {"size": seed.size, "sha256": seed.sha256.hex()}
            for filename, seed in definition.memory_seeds.items()
        },
        "owner_id": definition.owner_id,
        "owner_login": definition.owner_login,
        "owner_resolver": definition.owner_resolver,
        "default_config": definition.default_config,
        "meta": definition.meta,
        "priority": definition.priority,
        "version": definition.version,
    }


def of_memory_file_type(type_: MemoryFileType) -> Snapshot:
    """A type of memory file."""
    return {
        "filename": type_.filename,
        "layer": type_.layer.value,
        "priority": type_.priority,
        "is_protected": type_.is_protected,
        "read_only": type_.read_only,
        "required_capability": type_.required_capability,
        "label": type_.label,
        "version": type_.version,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
