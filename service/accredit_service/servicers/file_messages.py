"""Directories and files, from messages and to messages."""

from datetime import date

from accredit.v1 import directory_pb2, types_pb2
from accredit_storage.directory.daily import DailyMatch
from accredit_storage.directory.directories import DirectoryState
from accredit_storage.directory.files import FileEntry

from ..abilities.errors import invalid
from ..abilities.files.daily_memory import Month
from ..abilities.files.directories import (
    AgentDirectory,
    Common,
    Directory,
    DirectoryRef,
    UserDirectory,
)
from ..abilities.files.scaffolding import ScaffoldedFile
from . import fields, messages


def asked_directory(path: str, ref: directory_pb2.DirectoryRef) -> DirectoryRef:
    """The directory that a request names."""
    which = ref.WhichOneof("identifier")
    if which == "agent":
        return AgentDirectory(fields.agent_ref(f"{path}.agent", ref.agent))
    if which == "user":
        return UserDirectory(fields.user_ref(f"{path}.user", ref.user))
    common = _common(f"{path}.common", ref.common)
    if common is None:
        raise invalid(path, "name a directory by agent, by user or by common")
    return common


def meant_directory(request: directory_pb2.ResolveDirectoryRequest) -> DirectoryRef:
    """The directory that a request asks about: an agent's, else a user's, else a common one."""
    agent = fields.optional_agent_ref("agent", request)
    user = fields.optional_user_ref(request)
    common = _common("common", request.common)
    if common is not None and (agent is not None or user is not None):
        raise invalid("common", "not beside agent or user: it belongs to nobody")
    if agent is not None:
        return AgentDirectory(agent)
    if user is not None:
        return UserDirectory(user)
    return Common.LEGACY if common is None else common


def _common(path: str, value: int) -> Common | None:
    return fields.enum_of(
        path, Common, directory_pb2.CommonDirectory, value, prefix="COMMON_DIRECTORY_"
    )


def directory_ref(directory: Directory) -> directory_pb2.DirectoryRef:
    """What a directory is named by: an agent's by the agent's id, a user's by the user's."""
    if directory.agent is not None:
        agent = types_pb2.AgentRef(agent_id=directory.agent.agent_id)
        return directory_pb2.DirectoryRef(agent=agent)
    if directory.user is not None:
        user = types_pb2.UserRef(user_id=directory.user.user_id)
        return directory_pb2.DirectoryRef(user=user)
    assert directory.common is not None  # noqa: S101 - one of the three is set
    common = messages.number(directory_pb2.CommonDirectory, "COMMON_DIRECTORY_", directory.common)
    return directory_pb2.DirectoryRef(common=common)


def directory_info(path: str, state: DirectoryState) -> directory_pb2.DirectoryInfo:
    """Where a directory is and what there is of it."""
    return directory_pb2.DirectoryInfo(path=path, exists=state.exists, has_files=state.has_files)


def file(entry: FileEntry) -> directory_pb2.MemoryFile:
    """A file without its content."""
    return directory_pb2.MemoryFile(
        path=entry.path,
        size=entry.size,
        etag=entry.etag,
        update_time=messages.time(entry.modified_at),
    )


def scaffolded_file(value: ScaffoldedFile) -> directory_pb2.ScaffoldedFile:
    """A starter file."""
    return directory_pb2.ScaffoldedFile(
        path=value.path,
        outcome=messages.number(directory_pb2.ScaffoldOutcome, "SCAFFOLD_OUTCOME_", value.outcome),
        error=None if value.error is None else messages.error(value.error),
    )


def day(value: date, entry: FileEntry) -> directory_pb2.DailyMemory:
    """A day of a journal."""
    return directory_pb2.DailyMemory(date=value.isoformat(), file=file(entry))


def month(value: Month) -> directory_pb2.ListDailyMemoryResponse.Month:
    """A month of a journal, with its days."""
    return directory_pb2.ListDailyMemoryResponse.Month(month=value.month, days=value.days)


def match(value: DailyMatch) -> directory_pb2.SearchDailyMemoryResponse.MatchedLine:
    """A line that was found."""
    return directory_pb2.SearchDailyMemoryResponse.MatchedLine(
        date=value.day.isoformat(),
        line_number=value.number,
        line=value.line,
        before=value.before,
        after=value.after,
    )
