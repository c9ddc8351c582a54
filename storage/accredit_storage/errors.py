"""Every way the store can refuse, in words the layer above can act on.

* StoreError
  + Conflict         another transaction won; nothing was written, the whole may be tried again
  + StoreBusy        no connection, lock or answer within the bound; nothing was written
  + StoreUnavailable the database cannot be reached, or went away
    + FilesUnavailable  the disk with the files does not answer or takes no writes
      + WriteInDoubt     it failed in the very last step: the new content may be there
  + StoreFull        the disk or a quota is full; nothing was written
  + SchemaMismatch   the database is older or newer than this server can serve
  + SlugTaken        another agent has the slug that an update asks for; the transaction goes on
  + LoginTaken       another user has the login that an update asks for; the transaction goes on
  + PathInvalid      the path breaks the rule of paths, or what is there is no plain file
  + FileMissing      there is no such file
    + DirectoryMissing  nor is there the directory: it was not made yet
      + OwnerMissing    nor is there the agent or the user whose it would be
  + EtagMismatch     the file is no longer the one that was read; carries its etag
  + FileTooLarge     the content is over the bound of a file
  + QuotaExceeded    the directory has as many files or bytes as it may have

What StoreBusy and StoreFull say of the database, they say of the disk with the files as well.
Reading a row that is not there is not an error here: ``find`` answers None. No message names a
path outside of the directory that was asked for.
"""


class StoreError(Exception):
    """Base of the failures that the store promises; any other exception is a bug."""


class Conflict(StoreError):
    """Another transaction changed what this one rests on; it was rolled back and may be repeated.

    A serialisation failure, a deadlock, or a reference to what has gone meanwhile.
    """


class StoreBusy(StoreError):
    """A lock, a pooled connection or an answer was not to be had within its bound."""


class StoreUnavailable(StoreError):
    """The database did not answer, refused the connection, is damaged or is read-only.

    Raised while committing on PostgreSQL, it leaves open whether the transaction was committed.
    """


class FilesUnavailable(StoreUnavailable):
    """The disk with the files does not answer or takes no writes; the database is not meant."""


class WriteInDoubt(FilesUnavailable):
    """A file was replaced or removed, and the disk failed before it said so: it may come back."""


class StoreFull(StoreError):
    """There is no room to write."""


class SchemaMismatch(StoreError):
    """The schema is not one that this server can serve; the message names the command to run."""


class SlugTaken(StoreError):
    """Another agent has the slug. The transaction goes on as before the attempt."""


class LoginTaken(StoreError):
    """Another user has the login. The transaction goes on as before the attempt."""


class PathInvalid(StoreError):
    """The path may not be used. The message says the rule that it breaks."""


class FileMissing(StoreError):
    """There is no such file."""


class DirectoryMissing(FileMissing):
    """The directory is not there: it was not made yet."""


class OwnerMissing(DirectoryMissing):
    """The agent or the user is not there any more."""


class EtagMismatch(StoreError):
    """The file is not the one that was read. ``etag`` is the present one, None without a file."""

    def __init__(self, etag: str | None) -> None:
        super().__init__("it has changed since it was read" if etag else "there is no such file")
        self.etag = etag


class FileTooLarge(StoreError):
    """The content is over the bound of a file, ``limit`` in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a file has at most {limit} bytes")
        self.limit = limit


class QuotaExceeded(StoreError):
    """The directory has no room left. ``counted`` says of what: "files" or "bytes"."""

    def __init__(self, counted: str, limit: int) -> None:
        super().__init__(f"a directory has at most {limit} {counted}")
        self.counted = counted
        self.limit = limit
