"""Python client of Accredit, the registry that accredits AI agents.

    import accredit

    with accredit.Client() as client:  # ACCREDIT_ADDRESS, ACCREDIT_TOKEN
        answer = client.agents.get_agent(agent=accredit.agent_ref("billing"))
        for agent in client.agents.iterate_agents():
            print(agent.agent_slug)

`accredit.Client` calls, `accredit.AccreditError` is the root of what can go wrong, and
`accredit.Guard` protects another gRPC service; `accredit.aio` has the first and the last
for asyncio. The messages are in `accredit.v1`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accredit._public import *  # noqa: F403 - its __all__ is the one list of public names
else:
    # Loaded when first asked for: the server and whoever else wants only accredit.v1, and
    # the command's `--help`, need neither the client nor the 200 ms that gRPC takes to
    # load. Out of type checkers' sight, who would take any name for a public one.
    def __getattr__(name: str) -> Any:
        if not name.startswith("_"):
            from accredit import _public

            if name in _public.__all__:
                return getattr(_public, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        from accredit import _public

        return sorted({*globals(), *_public.__all__})
