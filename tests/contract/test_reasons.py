"""Every reason is in the contract and raised with its code; tests/docs holds the page to it."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import accredit_service
from accredit.v1 import errors_pb2
from accredit_service.abilities import errors
from accredit_service.abilities.errors import Reason, Refusal
from accredit_service.interceptors.errors import CODES, STORE_FAILURES

TREE = Path(__file__).resolve().parents[2]
SERVICE = Path(accredit_service.__file__).parent
PREFIX = "ERROR_REASON_"


def _promised() -> Mapping[str, str]:
    """The code of each reason, as the comments of errors.proto promise it."""
    text = (TREE / "protos/accredit/v1/errors.proto").read_text()
    rows = re.findall(rf"// ([A-Z_]+): [^\n]*(?:\n *//[^\n]*)*\n *{PREFIX}([A-Z_]+) =", text)
    return {reason: code for code, reason in rows}


PROMISED = _promised()


def _raised() -> Iterator[tuple[str, str, str]]:
    """Each call in the source that names a reason: where, what is called, and the reason."""
    for path in sorted(SERVICE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                for reason in filter(None, map(_reason, arguments)):
                    yield f"{path.name}:{node.lineno}", _name(node.func), reason


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _reason(node: ast.expr) -> str:
    named = isinstance(node, ast.Attribute) and _name(node.value) == "Reason"
    return node.attr if named and isinstance(node, ast.Attribute) else ""


def test_the_service_knows_just_the_reasons_of_the_contract() -> None:
    contract = {name.removeprefix(PREFIX) for name in errors_pb2.ErrorReason.keys()}  # noqa: SIM118
    assert {reason.value for reason in Reason} == contract - {"UNSPECIFIED"}
    assert all(reason.name == reason.value for reason in Reason)
    assert set(PROMISED) == {reason.value for reason in Reason}


def test_every_refusal_is_raised_with_the_code_that_its_reason_promises() -> None:
    codes = {kind.__name__: code.name for kind, code in CODES.items()}
    # What refuses one field of a request.
    codes["invalid"] = "INVALID_ARGUMENT"
    found = [(where, codes[name], reason) for where, name, reason in _raised() if name in codes]
    assert [one for one in found if one[1] != PROMISED[one[2]]] == []
    assert len({reason for _, _, reason in found}) > 40


def test_what_the_store_refuses_has_the_code_that_its_reason_promises() -> None:
    for failure in STORE_FAILURES.values():
        assert failure.code.name == PROMISED[failure.reason]


def test_every_kind_of_refusal_has_a_code() -> None:
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Refusal) and kind is not Refusal
    }
    assert set(CODES) == kinds
