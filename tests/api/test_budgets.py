"""What the commonest changes of agents may cost the database."""

from typing import Any

from tests.server import Server
from tests.statements import statements, transactions


def spent(server: Server, method: str, **fields: Any) -> tuple[int, int]:
    """How many transactions an administrator's call takes, and how many statements."""
    with transactions(server) as begun, statements(server) as sent:
        server.admin.call(f"AgentService/{method}", **fields)
    return len(begun), len([one for one in sent if not one.startswith(("BEGIN", "COMMIT"))])


def test_an_agent_is_created_renamed_and_deleted_within_its_budget(server: Server) -> None:
    owner, slug = server.user(), server.name("budget")
    made = {"agent_slug": slug, "owner": {"user_id": owner.user_id}}
    ref = {"agent": {"agent_slug": slug}}
    # The creation, and the mark that its files were made.
    begun, sent = spent(server, "CreateAgent", **made)
    assert begun <= 2
    if server.app.store.engine.dialect.name == "sqlite":
        assert sent <= 14
    renamed = server.name("renamed")
    begun, _ = spent(server, "RenameAgent", **ref, new_slug=renamed)
    assert begun == 1
    for more in ({}, {"delete_files": True}):
        begun, _ = spent(server, "DeleteAgent", agent={"agent_slug": renamed}, **more)
        assert begun == 1
        server.agent(owner, renamed)
