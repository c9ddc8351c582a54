"""The column types: each means the same on every database, and refuses what it would guess."""

import enum
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from accredit_storage.canonical import canonical_json
from accredit_storage.records import Ceiling, Role, Subject, SubjectKind, TokenKey

Member = TypeVar("Member", bound=enum.Enum)

# SQLite compares bytes by itself.
_COLLATIONS = {"postgresql": "C"}

# SQLite makes a row id only of a column whose type is INTEGER to the letter.
Key = BigInteger().with_variant(Integer, "sqlite")


# Of a time as it is written for SQLite: up to its microseconds, without a zone.
_TIME_LENGTH = len("2026-01-01 00:00:00.000000")

_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def named_subjects(subjects: Iterable[Subject]) -> list[list[str]]:
    """The subjects as JSON: [kind, id], the kind by its lower-case name."""
    return [[subject.kind.name.lower(), subject.subject_id] for subject in subjects]


def _without_nul(value: str | None) -> str | None:
    if value is not None and "\0" in value:
        raise ValueError("text may not contain U+0000")
    return value


def _utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError(f"naive datetime {value!r}")
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def _utc_text(value: datetime | None) -> str | None:
    """As SQLAlchemy writes it for SQLite, without the zone."""
    at = _utc(value)
    return None if at is None else at.isoformat(" ", "microseconds")[:_TIME_LENGTH]


def _from_utc_text(value: str | None) -> datetime | None:
    if value is None:
        return None
    if len(value) == _TIME_LENGTH:
        # Several times as fast as to replace the zone of what is read without one.
        return datetime.fromisoformat(f"{value}+00:00")
    at = datetime.fromisoformat(value)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


def _from_json(value: str | None) -> Any:
    """What ``json.loads`` makes of it, at once where it is of our own making: without spaces."""
    if value is None:
        return None
    try:
        found, end = _scan(value, 0)
    except StopIteration:
        end = -1
    return found if end == len(value) else json.loads(value)


def _member_name(value: enum.Enum | None) -> str | None:
    return None if value is None else value.name.lower()


class PlainText(TypeDecorator[str]):
    """Text that compares byte for byte and sorts by code point. ValueError for U+0000."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Leave the locale of a PostgreSQL database aside."""
        return Text(collation=_COLLATIONS.get(dialect.name))

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        """Refuse what PostgreSQL cannot keep and SQLite's functions stop reading at."""
        return _without_nul


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, exact to the microsecond. ValueError for a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        """Refuse naive times: guessing their zone is how expiry bugs are made."""
        return _utc_text if dialect.name == "sqlite" else _utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Put back the zone that SQLite drops and PostgreSQL answers in its session's."""
        return _from_utc_text if dialect.name == "sqlite" else _in_utc


class MemberName(TypeDecorator[Member]):
    """A member of one enum, stored as its lower-case name."""

    impl = Text
    cache_ok = True

    def __init__(self, members: type[Member]) -> None:
        super().__init__()
        self.members = members
        self._by_name = {member.name.lower(): member for member in members}

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """See PlainText."""
        return Text(collation=_COLLATIONS.get(dialect.name))

    def bind_processor(self, dialect: Dialect) -> Callable[[Member | None], str | None]:
        """The name."""
        return _member_name

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[str | None], Member | None]:
        """The member; KeyError for a name that this version does not know."""
        by_name: dict[str | None, Member | None] = dict(self._by_name.items())
        by_name[None] = None
        return by_name.__getitem__


class CanonicalJson(TypeDecorator[Mapping[str, Any]]):
    """A JSON object, stored as its canonical text, so that equal values have equal digests."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:
        """The canonical text."""
        return None if value is None else canonical_json(value)

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[str | None], Mapping[str, Any] | None]:
        """The object."""
        return _from_json


class CeilingJson(TypeDecorator[Ceiling]):
    """A ceiling as a JSON object; NULL means full rights."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Ceiling | None, dialect: Dialect) -> str | None:
        """The canonical text."""
        if value is None:
            return None
        return canonical_json(
            {"capabilities": value.capabilities, "max_role": value.max_role.name.lower()}
        )

    def process_result_value(self, value: str | None, dialect: Dialect) -> Ceiling | None:
        """The ceiling; where no role is stored, the lowest: it never adds a right."""
        if value is None:
            return None
        stored = json.loads(value)
        max_role = stored.get("max_role")
        return Ceiling(
            max_role=Role[max_role.upper()] if max_role else Role.VIEWER,
            capabilities=tuple(stored.get("capabilities") or ()),
        )


class SubjectsJson(TypeDecorator[tuple[Subject, ...]]):
    """The subjects of a change, in their order, as a JSON array of [kind, id]."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[Subject, ...] | None, dialect: Dialect) -> str | None:
        """The canonical text."""
        return None if value is None else canonical_json(named_subjects(value))

    def process_result_value(
        self, value: str | None, dialect: Dialect
    ) -> tuple[Subject, ...] | None:
        """The subjects."""
        if value is None:
            return None
        return tuple(
            Subject(kind=SubjectKind[kind.upper()], subject_id=key)
            for kind, key in json.loads(value)
        )


class TokenKeysJson(TypeDecorator[tuple[TokenKey, ...]]):
    """The keys under which tokens are minted, as a JSON array of objects."""

    impl = Text
    cache_ok = True

    def process_bind_param(
        self, value: tuple[TokenKey, ...] | None, dialect: Dialect
    ) -> str | None:
        """The canonical text."""
        if value is None:
            return None
        return canonical_json(
            [
                {
                    "key_id": key.key_id,
                    "key": key.key.hex(),
                    "created_at": key.created_at.isoformat(),
                }
                for key in value
            ]
        )

    def process_result_value(
        self, value: str | None, dialect: Dialect
    ) -> tuple[TokenKey, ...] | None:
        """The keys."""
        if value is None:
            return None
        return tuple(
            TokenKey(
                key_id=one["key_id"],
                key=bytes.fromhex(one["key"]),
                created_at=datetime.fromisoformat(one["created_at"]),
            )
            for one in json.loads(value)
        )
