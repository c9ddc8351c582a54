"""DirectoryService."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from accredit.v1 import directory_pb2 as pb

from ..abilities.calls.app import App
from ..abilities.errors import invalid
from ..abilities.files import daily_memory, directories, files
from ..interceptors.calls import Call
from . import fields, file_messages
from .calls import ask, mutation, page_of
from .pages import packed

Piece = TypeVar("Piece", pb.ReadFileResponse, pb.ReadDailyMemoryResponse)


class DirectoryServicer:
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def ResolveDirectory(
        self, request: pb.ResolveDirectoryRequest, incoming: Call
    ) -> pb.ResolveDirectoryResponse:
        found = directories.resolve_directory(
            self._app, ask(incoming, request.consistency), file_messages.meant_directory(request)
        )
        return pb.ResolveDirectoryResponse(
            directory=file_messages.directory_ref(found.directory),
            info=file_messages.directory_info(found.directory.path, found.state),
        )

    def ListFiles(self, request: pb.ListFilesRequest, incoming: Call) -> pb.ListFilesResponse:
        page = files.list_files(
            self._app,
            ask(incoming, request.consistency),
            file_messages.asked_directory("directory", request.directory),
            request.folder,
            page_of(incoming, request),
        )
        found, token = packed(page, file_messages.file)
        return pb.ListFilesResponse(files=found, next_page_token=token)

    def ReadFile(
        self, request: pb.ReadFileRequest, incoming: Call
    ) -> Iterator[pb.ReadFileResponse]:
        with files.read_file(
            self._app,
            ask(incoming, request.consistency),
            file_messages.asked_directory("directory", request.directory),
            request.path,
        ) as opened:
            first = pb.ReadFileResponse(file=file_messages.file(opened.entry))
            yield from _in_pieces(first, opened.chunks())

    def WriteFile(self, request: pb.WriteFileRequest, incoming: Call) -> pb.WriteFileResponse:
        _check_conditions(request.etag, request.only_if_absent)
        command = files.WriteFile(
            directory=file_messages.asked_directory("directory", request.directory),
            path=request.path,
            content=request.content,
            etag=request.etag,
            only_if_absent=request.only_if_absent,
        )
        return mutation(
            incoming,
            request,
            pb.WriteFileResponse,
            lambda call: files.write_file(self._app, call, command),
            lambda entry: pb.WriteFileResponse(file=file_messages.file(entry)),
        )

    def AppendFile(self, request: pb.AppendFileRequest, incoming: Call) -> pb.AppendFileResponse:
        if not request.content:
            raise invalid("content", "what to add: at least one byte")
        command = files.WriteFile(
            directory=file_messages.asked_directory("directory", request.directory),
            path=request.path,
            content=request.content,
            etag=request.etag,
        )
        return mutation(
            incoming,
            request,
            pb.AppendFileResponse,
            lambda call: files.append_file(self._app, call, command),
            lambda entry: pb.AppendFileResponse(file=file_messages.file(entry)),
        )

    def DeleteFile(self, request: pb.DeleteFileRequest, incoming: Call) -> pb.DeleteFileResponse:
        command = files.DeleteFile(
            directory=file_messages.asked_directory("directory", request.directory),
            path=request.path,
            etag=request.etag,
        )
        return mutation(
            incoming,
            request,
            pb.DeleteFileResponse,
            lambda call: files.delete_file(self._app, call, command),
            lambda _: pb.DeleteFileResponse(),
        )

    def ScaffoldFiles(
        self, request: pb.ScaffoldFilesRequest, incoming: Call
    ) -> pb.ScaffoldFilesResponse:
        directory = file_messages.asked_directory("directory", request.directory)
        return mutation(
            incoming,
            request,
            pb.ScaffoldFilesResponse,
            lambda call: files.scaffold_files(self._app, call, directory, request.filename),
            lambda made: pb.ScaffoldFilesResponse(
                files=[file_messages.scaffolded_file(one) for one in made]
            ),
        )

    def AppendDailyMemory(
        self, request: pb.AppendDailyMemoryRequest, incoming: Call
    ) -> pb.AppendDailyMemoryResponse:
        agent = fields.agent_ref("agent", request.agent)
        return mutation(
            incoming,
            request,
            pb.AppendDailyMemoryResponse,
            lambda call: daily_memory.append_day(
                self._app, call, agent, request.date, request.text
            ),
            lambda day: pb.AppendDailyMemoryResponse(
                day=file_messages.day(day.day, day.entry), notice=day.notice
            ),
        )

    def ReadDailyMemory(
        self, request: pb.ReadDailyMemoryRequest, incoming: Call
    ) -> Iterator[pb.ReadDailyMemoryResponse]:
        day = daily_memory.open_day(
            self._app,
            ask(incoming, request.consistency),
            fields.agent_ref("agent", request.agent),
            request.date,
        )
        with day.file as opened:
            first = pb.ReadDailyMemoryResponse(day=file_messages.day(day.day, opened.entry))
            yield from _in_pieces(first, opened.chunks())

    def WriteDailyMemory(
        self, request: pb.WriteDailyMemoryRequest, incoming: Call
    ) -> pb.WriteDailyMemoryResponse:
        _check_conditions(request.etag, request.only_if_absent)
        command = daily_memory.WriteDay(
            agent=fields.agent_ref("agent", request.agent),
            day=request.date,
            content=request.content,
            etag=request.etag,
            only_if_absent=request.only_if_absent,
        )
        return mutation(
            incoming,
            request,
            pb.WriteDailyMemoryResponse,
            lambda call: daily_memory.write_day(self._app, call, command),
            lambda day: pb.WriteDailyMemoryResponse(
                day=file_messages.day(day.day, day.entry), notice=day.notice
            ),
        )

    def DeleteDailyMemory(
        self, request: pb.DeleteDailyMemoryRequest, incoming: Call
    ) -> pb.DeleteDailyMemoryResponse:
        agent = fields.agent_ref("agent", request.agent)
        return mutation(
            incoming,
            request,
            pb.DeleteDailyMemoryResponse,
            lambda call: daily_memory.delete_day(
                self._app, call, agent, request.date, request.etag
            ),
            lambda _: pb.DeleteDailyMemoryResponse(),
        )

    def ListDailyMemory(
        self, request: pb.ListDailyMemoryRequest, incoming: Call
    ) -> pb.ListDailyMemoryResponse:
        page = daily_memory.list_months(
            self._app,
            ask(incoming, request.consistency),
            fields.agent_ref("agent", request.agent),
            page_of(incoming, request),
        )
        months, token = packed(page, file_messages.month)
        return pb.ListDailyMemoryResponse(months=months, next_page_token=token)

    def SearchDailyMemory(
        self, request: pb.SearchDailyMemoryRequest, incoming: Call
    ) -> pb.SearchDailyMemoryResponse:
        query = daily_memory.SearchDays(
            agent=fields.agent_ref("agent", request.agent),
            text=request.text,
            start=request.start_date,
            end=request.end_date,
        )
        found = daily_memory.search_days(self._app, ask(incoming, request.consistency), query)
        return pb.SearchDailyMemoryResponse(
            matches=[file_messages.match(one) for one in found.matches],
            match_count=found.total,
            truncated=found.truncated,
        )


def _in_pieces(first: Piece, chunks: Iterable[bytes]) -> Iterator[Piece]:
    """A stream of contents, of which the first message also says what they are of."""
    message = first
    for chunk in chunks:
        message.content = chunk
        yield message
        message = type(first)()
    if not first.content:
        yield first


def _check_conditions(etag: str, only_if_absent: bool) -> None:
    if etag and only_if_absent:
        raise invalid("only_if_absent", "not beside etag: one of them is never met")
