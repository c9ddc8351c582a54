"""One call, as the steps around it and the servicer inside see it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Self, TypeAlias

import grpc

from ..abilities.calls.consistency import Basis
from ..abilities.errors import Refusal
from ..abilities.policy.rights import Principal

#: Where a call says of which site it is, if its request does not.
SITE_METADATA = "accredit-site"
#: Where a call carries its caller's credential.
AUTHORIZATION = "authorization"
#: Where a call may have an id of its caller's, and every answer has one.
REQUEST_ID = "x-request-id"

_OUR_PACKAGE = "/accredit.v1."
# Long enough for any method there is; what strangers make up is cut before it is logged.
_LONGEST_METHOD = 120


#: The names and values that came with a call.
Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]


class Headers(NamedTuple):
    """What the steps need of a call's metadata, which is read once.

    The first three have every value of their key that is text, in their order. ``size`` has the
    bytes of all names and values, ``entries`` how many there are.
    """

    credentials: Sequence[str]
    sites: Sequence[str]
    request_ids: Sequence[str]
    size: int
    entries: int

    @classmethod
    def of(cls, metadata: Metadata) -> Self:
        """Read it. Keys are lower case."""
        credentials: list[str] = []
        sites: list[str] = []
        request_ids: list[str] = []
        needed = {AUTHORIZATION: credentials, SITE_METADATA: sites, REQUEST_ID: request_ids}
        size, entries = 0, 0
        for key, value in metadata:
            # The library's own entry is not the caller's doing.
            if key != "user-agent":
                size += len(key) + len(value)
                entries += 1
                if key in needed and isinstance(value, str):
                    needed[key].append(value)
        return cls(credentials, sites, request_ids, size, entries)


class Call:
    """One call. Each attribute says which step fills it in."""

    def __init__(
        self,
        method: str,
        context: grpc.ServicerContext,
        headers: Headers | None = None,
        digest: bytes = b"",
    ) -> None:
        #: "AgentService/CreateAgent"; with its package if it is not ours.
        self.method = method
        self.context = context
        #: Read before any step, as ``digest`` is.
        self.headers = headers or Headers.of(context.invocation_metadata() or ())
        #: Set by telemetry: the outermost step, or for an answer at once.
        self.request_id = ""
        #: When the answer is no longer waited for, on the monotonic clock. Set by limits.
        self.deadline = float("inf")
        #: Set by authentication; None where a call is open to everybody.
        self.principal: Principal | None = None
        #: Set by authentication where it has held the caller against the method's row.
        self.is_permitted = False
        #: What the text of the caller's credential is known by; empty until that is known.
        self.digest = digest
        #: Set by the servicer: what the answer rests on, and that it may be given again.
        self.basis: Basis | None = None
        self.is_repeatable = False
        #: Set by errors, for telemetry.
        self.code: grpc.StatusCode | None = None
        self.reason = ""
        self.failure: Exception | None = None
        self._endings: list[Callable[[], None]] = []

    def at_end(self, ending: Callable[[], None]) -> None:
        """Have this done when the call has ended, however it did; the last one comes first."""
        self._endings.append(ending)

    def end(self) -> None:
        """Do what was to be done at the end."""
        while self._endings:
            self._endings.pop()()

    @property
    def caller(self) -> Principal:
        """Who calls. RuntimeError in a call that nobody had to authenticate for."""
        if self.principal is None:
            raise RuntimeError(f"{self.method} has no caller")
        return self.principal

    @property
    def peer(self) -> str:
        """The other end of the connection, in gRPC's words: ``ipv4:127.0.0.1:40112``."""
        return self.context.peer()

    def let_go(self, now: float) -> None:
        """End it for its client, who sees CANCELLED; whatever waits for the client wakes up."""
        self.deadline = min(self.deadline, now)
        self.context.cancel()

    def sent_code(self) -> grpc.StatusCode | None:
        """The code that a servicer or a step has set, None if none did."""
        context: Any = self.context  # types-grpcio does not know that it has this.
        code: grpc.StatusCode | None = context.code()
        return code

    def metadata(self, key: str) -> Sequence[str]:
        """Every value of a key, in their order, if they are text. Keys are lower case."""
        metadata: Metadata = self.context.invocation_metadata() or ()
        return [value for name, value in metadata if name == key and isinstance(value, str)]


#: A look at a call's metadata: a refusal where that alone decides it, else what the caller's
#: credential is known by, if that much is known.
Screen: TypeAlias = Callable[[Headers], Refusal | bytes | None]

#: A step before a call is answered, which may refuse it; see ``Call.at_end`` for afterwards.
Step: TypeAlias = Callable[[Call], None]


def is_ours(path: str) -> bool:
    """Whether a path is that of a method of our contract."""
    return path.startswith(_OUR_PACKAGE)


def method_name(path: str) -> str:
    """The name that permissions and logs use: a path of ours without its package."""
    return path.removeprefix(_OUR_PACKAGE).removeprefix("/")[:_LONGEST_METHOD]
