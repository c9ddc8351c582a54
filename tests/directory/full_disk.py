"""A program for test_full_disk: it fills a disk of its own. Run in a mount namespace of its own."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

from accredit_storage import migrate
from accredit_storage.directory.directories import Directories
from accredit_storage.directory.files import Files
from accredit_storage.directory.places import KEPT, SHARED, place_of
from accredit_storage.errors import FilesUnavailable, StoreBusy, StoreError, StoreFull
from accredit_storage.store import Store
from tests.directory.making import home, snapshot
from tests.storage.making import agent, user


def refuses(kind: type[StoreError], files: Files) -> None:
    """Every way to write is refused, and what there was is still there."""
    before = snapshot(files._tree.root)
    for act in (
        lambda: files.write(SHARED, "notes.md", b"y" * 40_000),
        lambda: files.append(SHARED, "notes.md", b"y" * 40_000),
        lambda: files.write(SHARED, "a/b/new.md", b"y" * 40_000),
    ):
        try:
            act()
        except kind:
            assert snapshot(files._tree.root) == before
        else:
            raise AssertionError(f"{kind} was not raised")
    assert files.read(SHARED, "notes.md").content == b"x" * 10_000


def full(disk: Path, store: Store) -> None:
    """No room: writes are refused, and as soon as there is some they are not."""
    directories = Directories(store, disk / "root")
    directories.start()
    files = directories.files
    place = home(directories.tree)
    files.write(place, "SOUL.md", b"kept")
    files.write(SHARED, "notes.md", b"x" * 10_000)
    with (disk / "filling").open("wb", buffering=0) as filling:
        try:
            while True:
                filling.write(b"x" * 4096)
        except OSError:
            pass
    refuses(StoreFull, files)
    # The row is there whatever the disk says, and its directory is made when there is room.
    with store.write() as tx:
        scribe = agent(tx, user(tx))
    try:
        directories.make(scribe)
        files.write(place_of(scribe), "SOUL.md", b"z" * 40_000)
        raise AssertionError("there was room")
    except StoreFull:
        pass
    # What is put aside takes no room.
    assert directories.tree.put_aside(place, shelf=KEPT)
    assert directories.tree.give_back(place)
    files.delete(place, "SOUL.md")
    (disk / "filling").unlink()
    files.write(SHARED, "notes.md", b"x" * 10_000)
    directories.make(scribe)
    files.write(place_of(scribe), "SOUL.md", b"z" * 40_000)


def read_only(disk: Path, store: Store) -> None:
    """Mounted read-only: reading goes on, and writing as soon as it may."""
    directories = Directories(store, disk / "root")
    directories.start()
    files = directories.files
    files.write(SHARED, "notes.md", b"x" * 10_000)
    with store.write() as tx:
        scribe = agent(tx, user(tx))
    directories.make(scribe)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    refuses(FilesUnavailable, files)
    # Deleted all the same: the sweep puts its directory aside.
    assert directories.put_aside(scribe) == ""
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    files.write(SHARED, "notes.md", b"")
    assert directories.put_aside(scribe) == f"agents/.kept/{place_of(scribe).name}"


def limited(disk: Path, store: Store) -> None:
    """The process may write no large files, and open no more of them."""
    directories = Directories(store, disk / "root")
    directories.start()
    files = directories.files
    files.write(SHARED, "notes.md", b"x" * 10_000)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))
    refuses(StoreFull, files)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    files.write(SHARED, "notes.md", b"y" * 40_000)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (5, most))
    for act in (lambda: files.read(SHARED, "notes.md"), lambda: files.write(SHARED, "a", b"")):
        try:
            act()
        except StoreBusy:
            continue
        raise AssertionError("StoreBusy was not raised")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, most))
    files.write(SHARED, "notes.md", b"")


def main(what: str, folder: Path) -> None:
    """Do one of the above on a small disk of its own."""
    disk = folder / "disk"
    disk.mkdir()
    if what != "limited":
        small = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
        subprocess.run(small, check=True)
    url = f"sqlite:///{folder / 'accredit.db'}"
    migrate.upgrade(url)
    store = Store.open(url)
    {"full": full, "read_only": read_only, "limited": limited}[what](disk, store)
    store.close()
    sys.stdout.write("done")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
