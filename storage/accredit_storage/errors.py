"""Every way the store can refuse, in words the layer above can act on.

* StoreError
  + Conflict         another transaction won; nothing was written, the whole may be tried again
  + StoreBusy        no connection, lock or answer within the bound; nothing was written
  + StoreUnavailable the database cannot be reached, or went away
  + StoreFull        the disk or a quota is full; nothing was written
  + SchemaMismatch   the database is older or newer than this server can serve
  + SlugTaken        another agent has the slug that an update asks for; the transaction goes on
  + LoginTaken       another user has the login that an update asks for; the transaction goes on

Reading something that is not there is not an error here: ``find`` answers None.
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


class StoreFull(StoreError):
    """There is no room to write."""


class SchemaMismatch(StoreError):
    """The schema is not one that this server can serve; the message names the command to run."""


class SlugTaken(StoreError):
    """Another agent has the slug. The transaction goes on as before the attempt."""


class LoginTaken(StoreError):
    """Another user has the login. The transaction goes on as before the attempt."""
