"""What the system refuses, in our words; and renaming where the system cannot."""

import errno
import os
from pathlib import Path

import pytest

from accredit_storage.directory.folders import Folder, look_and_rename, rename_new, translated
from accredit_storage.errors import (
    FilesUnavailable,
    PathInvalid,
    StoreBusy,
    StoreError,
    StoreFull,
)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EFBIG, StoreFull),
        (errno.EROFS, FilesUnavailable),
        (errno.EIO, FilesUnavailable),
        (errno.EACCES, FilesUnavailable),
        (errno.EPERM, FilesUnavailable),
        (errno.ESTALE, FilesUnavailable),
        (errno.ENODEV, FilesUnavailable),
        (errno.EMFILE, StoreBusy),
        (errno.ENFILE, StoreBusy),
        (errno.ENOMEM, StoreBusy),
        (errno.ELOOP, PathInvalid),
        (errno.ENOTDIR, PathInvalid),
        (errno.ENAMETOOLONG, PathInvalid),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else value.__name__,
)
def test_the_system_refuses_in_our_words(code: int, kind: type[StoreError]) -> None:
    with pytest.raises(kind) as caught, translated():
        raise OSError(code, os.strerror(code), "/srv/accredit/agents/secret")
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_bug_stays_one() -> None:
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError


@pytest.mark.parametrize("rename", [rename_new, look_and_rename])
@pytest.mark.parametrize("taken_by", ["file", "folder", "link"])
def test_a_rename_replaces_nothing(tmp_path: Path, rename: object, taken_by: str) -> None:
    assert callable(rename)
    (tmp_path / "old").mkdir()
    (tmp_path / "below").mkdir()
    target = tmp_path / "below" / "new"
    with Folder.at(tmp_path) as here, Folder.at(tmp_path / "below") as there:
        match taken_by:
            case "file":
                target.write_bytes(b"")
            case "folder":
                target.mkdir()
            case _:
                target.symlink_to("nowhere")
        with pytest.raises(FileExistsError):
            rename("old", here.descriptor, "new", there.descriptor)
        assert (tmp_path / "old").is_dir()
        target.rmdir() if taken_by == "folder" else target.unlink()
        rename("old", here.descriptor, "new", there.descriptor)
        assert target.is_dir()
        with pytest.raises(FileNotFoundError):
            rename("old", here.descriptor, "newer", there.descriptor)
