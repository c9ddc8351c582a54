"""DirectoryService."""

from collections.abc import Iterator

import grpc

from accredit.v1 import directory_pb2 as pb
from accredit.v1.directory_pb2_grpc import DirectoryServiceServicer
from accredit_storage.directory.contents import FileEntry

from ..abilities import daily_memory, directories, files
from ..abilities.app import App
from ..abilities.errors import invalid
from . import fields, file_messages
from .calls import ask, mutation, page_of


class DirectoryServicer(DirectoryServiceServicer):
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def ResolveDirectory(
        self, request: pb.ResolveDirectoryRequest, context: grpc.ServicerContext
    ) -> pb.ResolveDirectoryResponse:
        """See the proto."""
        found = directories.resolve_directory(
            self._app,
            ask(request.consistency),
            fields.optional_agent_ref("agent", request),
            fields.optional_id("user_id", request.user_id),
        )
        return pb.ResolveDirectoryResponse(
            directory=file_messages.directory_ref(found.directory),
            info=file_messages.directory_info(found.directory.path, found.state),
        )

    def ListFiles(
        self, request: pb.ListFilesRequest, context: grpc.ServicerContext
    ) -> pb.ListFilesResponse:
        """See the proto."""
        page = files.list_files(
            self._app,
            ask(request.consistency),
            file_messages.asked_directory("directory", request.directory),
            request.folder,
            page_of(request),
        )
        return pb.ListFilesResponse(
            files=[file_messages.file(one) for one in page.items],
            next_page_token=page.next_token,
        )

    def ReadFile(
        self, request: pb.ReadFileRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadFileResponse]:
        """See the proto."""
        with files.read_file(
            self._app,
            ask(request.consistency),
            file_messages.asked_directory("directory", request.directory),
            request.path,
        ) as opened:
            described: pb.MemoryFile | None = file_messages.file(opened.entry)
            for chunk in opened.chunks():
                yield pb.ReadFileResponse(file=described, content=chunk)
                described = None
            if described is not None:
                yield pb.ReadFileResponse(file=described)

    def WriteFile(
        self, request: pb.WriteFileRequest, context: grpc.ServicerContext
    ) -> pb.WriteFileResponse:
        """See the proto."""
        _check_conditions(request.if_match, request.only_new)
        command = files.WriteFile(
            directory=file_messages.asked_directory("directory", request.directory),
            path=request.path,
            content=request.content,
            if_match=request.if_match,
            only_new=request.only_new,
        )
        return mutation(
            request,
            pb.WriteFileResponse,
            lambda call: files.write_file(self._app, call, command),
            lambda entry: pb.WriteFileResponse(file=file_messages.file(entry)),
        )

    def AppendFile(
        self, request: pb.AppendFileRequest, context: grpc.ServicerContext
    ) -> pb.AppendFileResponse:
        """See the proto."""
        if not request.content:
            raise invalid("content", "what to add: at least one byte")
        command = files.WriteFile(
            directory=file_messages.asked_directory("directory", request.directory),
            path=request.path,
            content=request.content,
            if_match=request.if_match,
        )
        return mutation(
            request,
            pb.AppendFileResponse,
            lambda call: files.append_file(self._app, call, command),
            lambda entry: pb.AppendFileResponse(file=file_messages.file(entry)),
        )

    def DeleteFile(
        self, request: pb.DeleteFileRequest, context: grpc.ServicerContext
    ) -> pb.DeleteFileResponse:
        """See the proto."""
        command = files.DeleteFile(
            directory=file_messages.asked_directory("directory", request.directory),
            path=request.path,
            if_match=request.if_match,
        )
        return mutation(
            request,
            pb.DeleteFileResponse,
            lambda call: files.delete_file(self._app, call, command),
            lambda _: pb.DeleteFileResponse(),
        )

    def ScaffoldFiles(
        self, request: pb.ScaffoldFilesRequest, context: grpc.ServicerContext
    ) -> pb.ScaffoldFilesResponse:
        """See the proto."""
        directory = file_messages.asked_directory("directory", request.directory)
        return mutation(
            request,
            pb.ScaffoldFilesResponse,
            lambda call: files.scaffold_files(self._app, call, directory, request.filename),
            lambda made: pb.ScaffoldFilesResponse(
                files=[file_messages.scaffolded_file(one) for one in made]
            ),
        )

    def AppendDailyMemory(
        self, request: pb.AppendDailyMemoryRequest, context: grpc.ServicerContext
    ) -> pb.AppendDailyMemoryResponse:
        """See the proto."""
        agent = fields.agent_ref("agent", request.agent)
        return mutation(
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
        self, request: pb.ReadDailyMemoryRequest, context: grpc.ServicerContext
    ) -> pb.ReadDailyMemoryResponse:
        """See the proto."""
        found = daily_memory.read_day(
            self._app,
            ask(request.consistency),
            fields.agent_ref("agent", request.agent),
            request.date,
        )
        entry: FileEntry = found.content.entry
        return pb.ReadDailyMemoryResponse(
            day=file_messages.day(found.day, entry), content=found.content.content
        )

    def WriteDailyMemory(
        self, request: pb.WriteDailyMemoryRequest, context: grpc.ServicerContext
    ) -> pb.WriteDailyMemoryResponse:
        """See the proto."""
        _check_conditions(request.if_match, request.only_new)
        command = daily_memory.WriteDay(
            agent=fields.agent_ref("agent", request.agent),
            day=request.date,
            content=request.content,
            if_match=request.if_match,
            only_new=request.only_new,
        )
        return mutation(
            request,
            pb.WriteDailyMemoryResponse,
            lambda call: daily_memory.write_day(self._app, call, command),
            lambda day: pb.WriteDailyMemoryResponse(
                day=file_messages.day(day.day, day.entry), notice=day.notice
            ),
        )

    def DeleteDailyMemory(
        self, request: pb.DeleteDailyMemoryRequest, context: grpc.ServicerContext
    ) -> pb.DeleteDailyMemoryResponse:
        """See the proto."""
        agent = fields.agent_ref("agent", request.agent)
        return mutation(
            request,
            pb.DeleteDailyMemoryResponse,
            lambda call: daily_memory.delete_day(
                self._app, call, agent, request.date, request.if_match
            ),
            lambda _: pb.DeleteDailyMemoryResponse(),
        )

    def ListDailyMemory(
        self, request: pb.ListDailyMemoryRequest, context: grpc.ServicerContext
    ) -> pb.ListDailyMemoryResponse:
        """See the proto."""
        months = daily_memory.list_days(
            self._app, ask(request.consistency), fields.agent_ref("agent", request.agent)
        )
        return pb.ListDailyMemoryResponse(
            months=[
                pb.ListDailyMemoryResponse.Month(month=month, days=days)
                for month, days in months.items()
            ]
        )

    def SearchDailyMemory(
        self, request: pb.SearchDailyMemoryRequest, context: grpc.ServicerContext
    ) -> pb.SearchDailyMemoryResponse:
        """See the proto."""
        query = daily_memory.SearchDays(
            agent=fields.agent_ref("agent", request.agent),
            text=request.text,
            start=request.start_date,
            end=request.end_date,
        )
        found = daily_memory.search_days(self._app, ask(request.consistency), query)
        return pb.SearchDailyMemoryResponse(
            matches=[file_messages.match(one) for one in found.matches],
            match_count=found.total,
            truncated=found.truncated,
        )


def _check_conditions(if_match: str, only_new: bool) -> None:
    if if_match and only_new:
        raise invalid("only_new", "not beside if_match: one of them is never met")
