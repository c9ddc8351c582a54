"""The client and the guard for asyncio; everything else is in `accredit` itself."""

from accredit._aio_client import Client
from accredit._aio_guard import Guard

__all__ = ["Client", "Guard"]
