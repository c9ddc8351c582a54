"""What a reply is kept under tells every two questions apart that are answered differently."""

from typing import Any

from tests.server import Server


def test_a_site_that_is_stated_as_nothing_is_refused_warm_and_cold(lone: Server) -> None:
    member = lone.user()
    check: dict[str, Any] = {"caller": True, "agent": {"agent_id": 1}}
    check["minimum_role"] = "ROLE_VIEWER"

    def asked(*metadata: tuple[str, str]) -> str:
        try:
            member.call("AccessService/CheckAccess", metadata, check=check)
        except Exception as error:  # noqa: BLE001 - its kind is what is compared
            return str(error)
        return "answered"

    cold = asked(("accredit-site", ""))
    assert "accredit-site" in cold
    assert asked() == "answered"
    assert asked(("accredit-site", "")) == cold
