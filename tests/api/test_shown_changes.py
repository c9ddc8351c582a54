"""What an agent's administrators, who may not audit, see of changes that tell of somebody else."""

from typing import Any

from accredit.v1 import change_pb2
from tests.api.asking import changes_of
from tests.server import Person, Server

SECRET = "victor@private.example"


def _of(owner: Person, agent_id: int) -> list[Any]:
    subject = {"kind": "SUBJECT_KIND_AGENT", "subject_id": str(agent_id)}
    return changes_of(owner, filter={"subjects": [subject]})


def _shown(owner: Person, agent_id: int) -> dict[str, int]:
    """The view of the last change of each kind."""
    return {
        change_pb2.ChangeKind.Name(one.kind).removeprefix("CHANGE_KIND_"): one.view
        for one in _of(owner, agent_id)
    }


def test_a_user_who_chose_the_agent_keeps_their_record_to_themselves(server: Server) -> None:
    owner, viewer = server.user(), server.user(email=SECRET)
    agent_id = server.agent(owner).agent_id
    server.grant(agent_id, viewer)
    viewer.call("AgentService/SetDefaultAgent", agent={"agent_id": agent_id})

    assert _shown(owner, agent_id)["DEFAULT_AGENT_SET"] == change_pb2.CHANGE_VIEW_PARTIAL
    assert SECRET not in str(_of(owner, agent_id))
    assert SECRET in str(_of(server.admin, agent_id))


def test_a_user_whose_offer_ends_with_them_keeps_their_record_to_themselves(
    server: Server,
) -> None:
    for method, kind in (
        ("UserService/DeactivateUser", "USER_DEACTIVATED"),
        ("UserService/DeleteUser", "USER_DELETED"),
    ):
        owner, receiver = server.user(), server.user(email=SECRET)
        agent_id = server.agent(owner).agent_id
        ref = {"agent_id": agent_id}
        owner.call("AgentService/TransferAgent", agent=ref, new_owner=receiver.ref["user"])
        server.admin.call(method, user=receiver.ref["user"])

        shown = _shown(owner, agent_id)
        assert shown[kind] == change_pb2.CHANGE_VIEW_PARTIAL
        assert shown["TRANSFER_OFFERED"] == change_pb2.CHANGE_VIEW_FULL
        assert SECRET not in str(_of(owner, agent_id))


def test_a_page_token_goes_on_with_the_user_whose_login_it_was(server: Server) -> None:
    first, second = server.user(login=server.name("ann")), server.user()
    heir = server.user()
    named: dict[str, Any] = {"user": {"login": first.login}}
    for person in (first, second):
        for _ in range(2):
            agent_id = server.agent(person).agent_id
            server.grant(agent_id, person, "ADMIN")
            server.admin.call("TokenService/CreateToken", **person.ref, full_rights=True)
            person.call(
                "AgentService/TransferAgent",
                agent={"agent_id": agent_id},
                new_owner={"user_id": heir.user_id},
            )
    lists = (
        "AccessService/ListUserAccess",
        "TokenService/ListTokens",
        "AgentService/ListAgents",
        "AgentService/ListTransferOffers",
    )
    tokens = {one: server.admin.call(one, **named, page_size=1).next_page_token for one in lists}
    for person, login in ((first, server.name("other")), (second, first.login)):
        server.admin.call("UserService/UpdateUser", **person.ref, update={"login": login})

    for one, token in tokens.items():
        refusal = server.admin.refused(one, **named, page_size=1, page_token=token)
        assert refusal.what == "INVALID_ARGUMENT PAGE_TOKEN_INVALID", one
