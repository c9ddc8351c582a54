"""UserService."""

from accredit.v1 import user_pb2 as pb
from accredit_storage.records import (
    NewUser,
    User,
    UserKind,
    UserRole,
    UserUpdate,
)

from ..abilities import users
from ..abilities.calls.app import App
from ..interceptors.calls import Call
from . import fields, messages
from .calls import ask, mutation, page_of
from .pages import packed


class UserServicer:
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def CreateUser(self, request: pb.CreateUserRequest, incoming: Call) -> pb.CreateUserResponse:
        new = NewUser(
            login=request.login,
            kind=_kind("kind", request.kind),
            role=fields.required_enum(
                "role", UserRole, pb.UserRole, request.role, prefix="USER_ROLE_"
            ),
            display_name=request.display_name,
            email=request.email,
        )

        def pack(user: User) -> pb.CreateUserResponse:
            message = messages.user(user)
            if request.validate_only:
                message.ClearField("user_id")
            return pb.CreateUserResponse(user=message)

        return mutation(
            incoming,
            request,
            pb.CreateUserResponse,
            lambda call: users.create_user(self._app, call, new),
            pack,
        )

    def GetUser(self, request: pb.GetUserRequest, incoming: Call) -> pb.GetUserResponse:
        user = users.get_user(
            self._app,
            ask(incoming, request.consistency),
            fields.user_ref("user", request.user),
        )
        return pb.GetUserResponse(user=messages.user(user))

    def ListUsers(self, request: pb.ListUsersRequest, incoming: Call) -> pb.ListUsersResponse:
        query = users.ListUsers(
            text=request.text,
            email=request.email,
            role=_role("role", request.role),
            active=request.active if request.HasField("active") else None,
        )
        page = users.list_users(
            self._app,
            ask(incoming, request.consistency),
            query,
            page_of(incoming, request),
        )
        listed, token = packed(page, messages.user)
        return pb.ListUsersResponse(users=listed, next_page_token=token)

    def UpdateUser(self, request: pb.UpdateUserRequest, incoming: Call) -> pb.UpdateUserResponse:
        update = request.update
        values = fields.masked(
            request,
            {
                "login": lambda: update.login,
                "kind": lambda: _kind("update.kind", update.kind),
                "role": lambda: _role("update.role", update.role),
                "display_name": lambda: update.display_name,
                "email": lambda: update.email,
                "active": lambda: update.active,
            },
            unstated=frozenset({"email"}),
        )
        command = users.UpdateUser(
            user=fields.user_ref("user", request.user),
            etag=request.etag,
            update=UserUpdate(**values),
        )
        return mutation(
            incoming,
            request,
            pb.UpdateUserResponse,
            lambda call: users.update_user(self._app, call, command),
            lambda user: pb.UpdateUserResponse(user=messages.user(user)),
        )

    def DeactivateUser(
        self, request: pb.DeactivateUserRequest, incoming: Call
    ) -> pb.DeactivateUserResponse:
        ref = fields.user_ref("user", request.user)
        return mutation(
            incoming,
            request,
            pb.DeactivateUserResponse,
            lambda call: users.deactivate_user(self._app, call, ref, request.etag),
            lambda user: pb.DeactivateUserResponse(user=messages.user(user)),
        )

    def DeleteUser(self, request: pb.DeleteUserRequest, incoming: Call) -> pb.DeleteUserResponse:
        ref = fields.user_ref("user", request.user)
        return mutation(
            incoming,
            request,
            pb.DeleteUserResponse,
            lambda call: users.delete_user(self._app, call, ref, request.etag),
            lambda deleted: pb.DeleteUserResponse(
                user=messages.user(deleted.user), tokens_deleted=deleted.tokens
            ),
        )


def _kind(path: str, value: int) -> UserKind | None:
    return fields.enum_of(path, UserKind, pb.UserKind, value, prefix="USER_KIND_")


def _role(path: str, value: int) -> UserRole | None:
    return fields.enum_of(path, UserRole, pb.UserRole, value, prefix="USER_ROLE_")
