"""Calls with any bytes as a body, and what the contract lets the answer be."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from accredit_service.abilities import bootstrap
from tests.server import Server

ERRORS_PROTO = Path(__file__).parents[2] / "protos/accredit/v1/errors.proto"

#: Which code each reason comes with, as errors.proto says in so many words.
CODE_OF_REASON: Mapping[str, str] = {
    reason: code
    for code, reason in re.findall(
        r"// ([A-Z_]+): [^\n]*\n(?:  //[^\n]*\n)*  ERROR_REASON_([A-Z_]+) =",
        ERRORS_PROTO.read_text(encoding="utf-8"),
    )
}
#: What no input may lead to.
NEVER = {"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED", "CANCELLED"}
#: What only the insides of the server would say.
INSIDES = re.compile(
    r"Traceback|File \"|sqlalchemy|sqlite3|psycopg|SELECT |INSERT |UPDATE |0x[0-9a-f]{8,}|\.py\b"
)
DETAILS_LIMIT = 4096


@dataclass(frozen=True)
class Outcome:
    """How a call ended."""

    code: str
    message: str = ""
    infos: Sequence[error_details_pb2.ErrorInfo] = ()
    fields: Sequence[str] = ()
    kinds: Sequence[str] = ()
    size: int = 0
    reply: Any = field(default=None, repr=False)

    @property
    def reason(self) -> str:
        return self.infos[0].reason if self.infos else ""


class Wire:
    """An administrator's connection to a server, over which any bytes can be sent."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def send(
        self,
        method: str,
        body: bytes,
        *,
        token: str | None = None,
        metadata: Sequence[tuple[str, str | bytes]] = (),
    ) -> Outcome:
        """Call; "" as a token sends none."""
        descriptor = self.server.methods[method]
        path = f"/{descriptor.containing_service.full_name}/{descriptor.name}"
        reply = GetMessageClass(descriptor.output_type)
        channel, streams = self.server.channel, descriptor.server_streaming
        invoke: Any = (channel.unary_stream if streams else channel.unary_unary)(
            path, response_deserializer=reply.FromString
        )
        sent = list(metadata)
        if text := self.server.admin.token if token is None else token:
            sent.append(("authorization", f"Bearer {text}"))
        try:
            answer = invoke(body, metadata=sent, timeout=60)
            return Outcome("OK", reply=list(answer) if streams else answer)
        except grpc.RpcError as error:
            return outcome_of(error)

    def head(self) -> int:
        """The newest revision of the store."""
        with self.server.app.store.read() as tx:
            return tx.head().revision

    def keep_in(self) -> None:
        """Give the administrator a new token if a call has ended theirs."""
        if self.send("AuthService/WhoAmI", b"").code != "OK":
            made = bootstrap.new_token(self.server.app, lambda _: None)
            self.server.admin = replace(self.server.admin, token=made.secret)


def outcome_of(error: Any) -> Outcome:
    """What a client sees of a failed call."""
    status = rpc_status.from_call(error)
    details = () if status is None else status.details
    infos, fields = [], []
    for detail in details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            infos.append(info)
        elif detail.Unpack(bad):
            fields += [violation.field for violation in bad.field_violations]
    return Outcome(
        code=error.code().name,
        message=error.details() or "",
        infos=infos,
        fields=fields,
        kinds=[detail.type_url for detail in details],
        size=0 if status is None else status.ByteSize(),
    )


def faults_of(outcome: Outcome, request: Descriptor) -> list[str]:
    """In what the outcome breaks the contract, whatever was sent; hopefully in nothing."""
    if outcome.code == "OK":
        return []
    found = []
    if outcome.code in NEVER:
        found.append(f"{outcome.code}: {outcome.message}")
    if len(outcome.infos) != 1:
        found.append(f"{len(outcome.infos)} ErrorInfos")
    if len(set(outcome.kinds)) != len(outcome.kinds):
        found.append(f"a kind of detail twice: {outcome.kinds}")
    for info in outcome.infos:
        if info.domain != "accredit":
            found.append(f"domain {info.domain!r}")
        if CODE_OF_REASON.get(info.reason) != outcome.code:
            found.append(f"{info.reason} with {outcome.code}")
    if outcome.size > DETAILS_LIMIT:
        found.append(f"{outcome.size} bytes of details")
    if INSIDES.search(outcome.message):
        found.append(f"the message shows insides: {outcome.message}")
    if outcome.code == "INVALID_ARGUMENT" and outcome.reason != "REQUEST_MALFORMED":
        if not outcome.fields:
            found.append("no field is named")
        found += [f"no field {path!r}" for path in outcome.fields if not names(request, path)]
    return found


def names(message: Descriptor, path: str) -> bool:
    """Whether a path, such as ``checks[3].agent.agent_slug``, leads to a field of the message."""
    first, _, rest = path.partition(".")
    name, bracket, place = first.partition("[")
    if name in message.oneofs_by_name:
        return not bracket and not rest
    found = message.fields_by_name.get(name)
    if found is None or bool(bracket) > is_repeated(found):
        return False
    if bracket and not re.fullmatch(r"\d+\]", place):
        return False
    if not rest:
        return True
    return found.message_type is not None and names(found.message_type, rest)


def is_repeated(one: FieldDescriptor) -> bool:
    return bool(one.is_repeated)
