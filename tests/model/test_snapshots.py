"""What the change log says of a row: everything but what is named here, and why."""

import dataclasses
import enum
from typing import Any, get_type_hints

import pytest

from accredit.v1 import change_pb2
from accredit_service.abilities.calls import snapshots
from accredit_storage.records import ChangeKind

#: Fields that a snapshot leaves out. Times of changes stand in the change itself.
TIMES = {"created_at", "updated_at", "granted_at"}
LEFT_OUT = {
    # Of the directory, which no reader of the log reaches by it.
    "of_agent": {"directory_key", "files_made"},
    "of_user": {"directory_key", "files_made"},
    # Written without a change.
    "of_token": {"last_used_at"},
    # Numbers of the store's own.
    "of_definition": {"definition_id", "turn", "registered_by"},
}
#: Fields that are called something else there.
RENAMED = {
    "expire_at": {"expire_time"},
    "revoked_at": {"revoke_time"},
    "ceiling": {"max_role", "capabilities"},
}
OF = sorted(name for name in vars(snapshots) if name.startswith("of_"))


class _Anything:
    """Has every attribute, so that a snapshot can be made of it: only the names matter."""

    def __getattr__(self, _name: str) -> Any:
        return self

    def __iter__(self) -> Any:
        return iter(())

    def __call__(self) -> Any:
        return self


@pytest.mark.parametrize("name", OF)
def test_a_snapshot_has_every_field_of_its_record(name: str) -> None:
    function = getattr(snapshots, name)
    (record, *_) = (kind for key, kind in get_type_hints(function).items() if key != "return")
    anything: Any = _Anything()
    told = set(function(anything))
    fields = {field.name for field in dataclasses.fields(record)}
    left_out = LEFT_OUT.get(name, set()) | TIMES
    wanted = {new for field in fields - left_out for new in RENAMED.get(field, {field})}
    assert told == wanted


def test_every_kind_of_change_is_in_the_contract_and_the_other_way_round() -> None:
    def names(kind: type[enum.Enum]) -> set[str]:
        return {member.name for member in kind}

    contract = {
        name.removeprefix("CHANGE_KIND_")
        for name in change_pb2.ChangeKind.DESCRIPTOR.values_by_name
    }
    assert contract - {"UNSPECIFIED"} >= names(ChangeKind)
