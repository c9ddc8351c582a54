"""The words that options take for the members of the API's enums.

They are written down here, since the enums themselves would have to be loaded for `--help`.
"""

import click

ROLES = ("viewer", "operator", "admin")
AGENT_STATUSES = ("active", "inactive", "archived")
STATUS_FILTERS = (*AGENT_STATUSES, "any")
LIST_SCOPES = ("mine", "all")
USER_KINDS = ("human", "service")
SUBJECT_KINDS = (
    "agent",
    "user",
    "token",
    "site",
    "grant",
    "directory",
    "definition",
    "memory_file_type",
    "agent_slug",
    "login",
    "store",
    "transfer_offer",
)
MEMORY_LAYERS = ("shared", "agent", "user", "network")
USER_ROLES = ("administrator", "service", "member", "guest")
CHANGE_KINDS = (
    "bootstrapped",
    "user_created",
    "user_updated",
    "user_deactivated",
    "user_deleted",
    "site_created",
    "site_deleted",
    "agent_created",
    "agent_updated",
    "agent_renamed",
    "agent_transferred",
    "agent_deleted",
    "grant_changed",
    "grant_revoked",
    "token_created",
    "token_rotated",
    "token_revoked",
    "bulk",
    "file_written",
    "file_deleted",
    "files_scaffolded",
    "definition_registered",
    "definition_unregistered",
    "definition_suppressed",
    "definition_reconciled",
    "memory_file_type_changed",
    "change_redacted",
    "transfer_offered",
    "transfer_declined",
    "default_agent_set",
    "token_key_rotated",
    "token_key_retired",
)


def choice(words: tuple[str, ...]) -> click.Choice:
    """One of these words, in any case."""
    return click.Choice(words, case_sensitive=False)


def member(prefix: str, word: str | None) -> str | None:
    """The name of the enum's member, such as ROLE_VIEWER."""
    return None if word is None else f"{prefix}_{word.upper()}"
