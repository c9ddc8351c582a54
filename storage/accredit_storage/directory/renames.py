"""Renaming without replacing, for which Python has no function."""

import ctypes
import errno
import os
from collections.abc import Callable

_NOREPLACE = 1
# The file system, or the kernel, does not know how.
_UNKNOWN = frozenset((errno.EINVAL, errno.ENOSYS, errno.ENOTSUP))


def rename_new(source: str, source_fd: int, target: str, target_fd: int) -> None:
    """Rename, each name inside the directory of its descriptor. FileExistsError: taken."""
    if _renameat2 is None:
        look_and_rename(source, source_fd, target, target_fd)
        return
    old, new = os.fsencode(source), os.fsencode(target)
    if _renameat2(source_fd, old, target_fd, new, _NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code not in _UNKNOWN:
        raise OSError(code, os.strerror(code))
    look_and_rename(source, source_fd, target, target_fd)


def look_and_rename(source: str, source_fd: int, target: str, target_fd: int) -> None:
    """The same, where the system cannot do it in one step.

    Only somebody who writes into the tree by hand could come in between: our own moves to one
    target exclude each other, and so do our writes in one directory.
    """
    try:
        os.stat(target, dir_fd=target_fd, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _find_renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """The function of the C library, None where there is none."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return None
    function.argtypes = (
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    )
    function.restype = ctypes.c_int

    def call(source_fd: int, source: bytes, target_fd: int, target: bytes, flags: int) -> int:
        return int(function(source_fd, source, target_fd, target, flags))

    return call


_renameat2 = _find_renameat2()
