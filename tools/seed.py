"""A few agents, users and sites to try things on. Doing it again changes nothing."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import accredit

SITES = {"shop": "The shop", "forum": "The forum"}
USERS: Mapping[str, Mapping[str, Any]] = {
    "ada": {"display_name": "Ada", "role": "USER_ROLE_MEMBER"},
    "bob": {"display_name": "Bob", "role": "USER_ROLE_MEMBER"},
    # The service of examples/guarded_service: it asks about other people's tokens.
    "notes": {"display_name": "Notes", "role": "USER_ROLE_SERVICE"},
}
# Slug, name, owner, site.
AGENTS = (
    ("billing-bot", "Billing", "ada", None),
    ("support-bot", "Support", "ada", "shop"),
    ("moderator", "Moderator", "bob", "forum"),
)
# Agent, user, role.
GRANTS = (("billing-bot", "bob", accredit.Role.VIEWER),)


def seed(client: accredit.Client, folder: Path) -> None:
    """Make what is missing; each user's token goes into a file of ``folder``.

    ``client`` calls as an administrator. Raises AccreditError.
    """
    sites = {slug: _site(client, slug, name) for slug, name in SITES.items()}
    users = {login: _user(client, login, fields) for login, fields in USERS.items()}
    for slug, name, owner, site in AGENTS:
        client.agents.create_agent(
            agent_slug=slug,
            agent_name=name,
            owner=accredit.user_ref(owner),
            site_scope=sites[site] if site else 0,
            create_if_missing=True,
        )
    for agent, login, role in GRANTS:
        _grant(client, agent, login, role)
    for login, user_id in users.items():
        _token(client, user_id, folder / f"{login}.token")


def _site(client: accredit.Client, slug: str, name: str) -> int:
    try:
        return client.sites.get_site(site=accredit.site_ref(slug)).site.site_id
    except accredit.NotFound:
        return client.sites.create_site(site_slug=slug, site_name=name).site.site_id


def _user(client: accredit.Client, login: str, fields: Mapping[str, Any]) -> int:
    try:
        return client.users.get_user(user=accredit.user_ref(login)).user.user_id
    except accredit.NotFound:
        return client.users.create_user(login=login, **fields).user.user_id


def _grant(client: accredit.Client, agent: str, login: str, role: accredit.Role) -> None:
    client.access.grant_access(
        agent=accredit.agent_ref(agent),
        principal=accredit.principal_ref(login),
        role=role,
        only_if_absent=True,
    )


def _token(client: accredit.Client, user_id: int, file: Path) -> None:
    """A token of the user in the file, the one that is there if it works."""
    if file.exists():
        held = client.auth.authenticate(token=file.read_text().strip())
        if held.WhichOneof("outcome") == "principal" and held.principal.user_id == user_id:
            return
        file.unlink()
    made = client.tokens.create_token(
        user=accredit.user_ref(user_id), full_rights=True, label="example"
    )
    descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as written:
        written.write(f"{made.secret}\n")
