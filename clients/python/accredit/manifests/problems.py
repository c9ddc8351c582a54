"""What is wrong with a manifest, and where."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding. An error cost a definition, or a whole file; a notice cost nothing."""

    #: The path of the manifest, or of a folder, below the folder that was read.
    file: str
    #: From 1; 0 if it concerns no line.
    line: int
    #: Such as ``memory_seeds.SOUL.md``; empty if it concerns no field.
    field: str
    message: str
    is_error: bool

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (where, self.field, self.message) if part)


class Invalid(Exception):
    """A value breaks a rule."""

    def __init__(self, line: int, path: str, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in one file so far."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def error(self, line: int, path: str, message: str) -> None:
        """Add what a definition or the file is refused for."""
        self._add(line, path, message, is_error=True)

    def notice(self, line: int, path: str, message: str) -> None:
        """Add what its author should know."""
        self._add(line, path, message, is_error=False)

    def _add(self, line: int, path: str, message: str, *, is_error: bool) -> None:
        self.problems.append(
            Problem(file=self.file, line=line, field=path, message=message, is_error=is_error)
        )
