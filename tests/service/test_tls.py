import io
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from accredit_service.setting_rules import LogLevel, SettingsError
from accredit_service.tls import Certificates
from tests.service.conftest import Start
from tests.service.running import PATIENCE, WHO_AM_I, Running, captured


@dataclass
class Files:
    """A certificate for localhost and its key, as an operator has them."""

    authority: trustme.CA
    certificate: Path
    key: Path
    client_ca: Path

    def issue(self) -> None:
        issued = self.authority.issue_cert("localhost")
        self.certificate.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())
        self.key.chmod(0o600)

    @property
    def root(self) -> bytes:
        return self.authority.cert_pem.bytes()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(
        trustme.CA(), tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "clients.pem"
    )
    files.issue()
    files.client_ca.write_bytes(files.root)
    return files


def secure(files: Files, start: Start, **changed: Any) -> Running:
    return start(tls_certificate=files.certificate, tls_key=files.key, **changed)


# types-grpcio makes every call of bytes an error.
secure_channel: Any = grpc.secure_channel


def call(server: Running, credentials: grpc.ChannelCredentials) -> None:
    address = server.server.address.replace("127.0.0.1", "localhost")
    with secure_channel(address, credentials) as channel:
        channel.unary_unary(WHO_AM_I)(
            b"", metadata=[("authorization", f"Bearer {server.token}")], timeout=PATIENCE
        )


def served(server: Running) -> str:
    host, _, port = server.server.address.rpartition(":")
    return ssl.get_server_certificate((host, int(port)))


def code_of(error: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.StatusCode:
    code: grpc.StatusCode = error.value.code()
    return code


def test_a_client_that_trusts_the_authority_is_served(files: Files, start: Start) -> None:
    server = secure(files, start)
    call(server, grpc.ssl_channel_credentials(files.root))


def test_one_that_trusts_another_does_not_talk(files: Files, start: Start) -> None:
    server = secure(files, start)
    other = grpc.ssl_channel_credentials(trustme.CA().cert_pem.bytes())
    with pytest.raises(grpc.RpcError) as refused:
        call(server, other)
    assert code_of(refused) is grpc.StatusCode.UNAVAILABLE


def test_plaintext_is_not_answered(files: Files, start: Start) -> None:
    server = secure(files, start)
    with pytest.raises(grpc.RpcError) as refused:
        server.call()
    assert code_of(refused) is grpc.StatusCode.UNAVAILABLE


def test_an_old_tls_is_not_spoken(files: Files, start: Start) -> None:
    server = secure(files, start)
    host, _, port = server.server.address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=files.root.decode())
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as spoken,
    ):
        assert spoken.version() in ("TLSv1.2", "TLSv1.3")
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((host, int(port))) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_with_a_client_authority_a_client_needs_a_certificate_of_it(
    files: Files, start: Start
) -> None:
    server = secure(files, start, tls_client_ca=files.client_ca)

    def credentials(authority: trustme.CA | None) -> grpc.ChannelCredentials:
        if authority is None:
            return grpc.ssl_channel_credentials(files.root)
        issued = authority.issue_cert("client@example.org")
        return grpc.ssl_channel_credentials(
            files.root,
            issued.private_key_pem.bytes(),
            b"".join(one.bytes() for one in issued.cert_chain_pems),
        )

    call(server, credentials(files.authority))
    for refused_credentials in (credentials(None), credentials(trustme.CA())):
        with pytest.raises(grpc.RpcError) as refused:
            call(server, refused_credentials)
        assert code_of(refused) is grpc.StatusCode.UNAVAILABLE


def test_a_renewed_certificate_is_served_to_the_next_client_and_calls_go_on(
    files: Files, start: Start
) -> None:
    server = secure(files, start)
    address = server.server.address.replace("127.0.0.1", "localhost")
    metadata = [("authorization", f"Bearer {server.token}")]
    with secure_channel(address, grpc.ssl_channel_credentials(files.root)) as channel:
        method = channel.unary_unary(WHO_AM_I)
        method(b"", metadata=metadata, timeout=PATIENCE)
        before = served(server)
        files.issue()
        after = served(server)
        assert after != before
        assert served(server) == after
        # The connection from before is none the worse.
        method(b"", metadata=metadata, timeout=PATIENCE)
    call(server, grpc.ssl_channel_credentials(files.root))


def test_a_pair_that_does_not_fit_leaves_the_old_one_until_it_does(
    files: Files, start: Start
) -> None:
    server = secure(files, start)
    before = served(server)
    old_key = files.key.read_bytes()
    files.issue()
    new_key = files.key.read_bytes()
    # As in the middle of a renewal: the new certificate with the old key.
    files.key.write_bytes(old_key)
    assert [served(server) for _ in range(3)] == [before] * 3
    files.key.write_bytes(new_key)
    assert served(server) != before
    events = [line["event"] for line in server.lines() if line["event"].startswith("certificate")]
    assert events == ["certificate not renewed", "certificate renewed"]


@pytest.mark.parametrize("broken", ["gone", "nonsense", "open to everybody"])
def test_a_key_that_breaks_leaves_the_old_one(files: Files, broken: str) -> None:
    certificates = Certificates(files.certificate, files.key, files.client_ca)
    assert certificates.renewed() is None
    match broken:
        case "gone":
            files.key.unlink()
        case "nonsense":
            files.key.write_text("-----BEGIN NOTHING-----")
        case _:
            files.issue()
            files.key.chmod(0o604)
    log = io.StringIO()
    with captured(log, LogLevel.INFO):
        assert certificates.renewed() is None
    (line,) = log.getvalue().splitlines()
    assert json.loads(line)["event"] == "certificate not renewed"
    files.issue()
    assert certificates.renewed() is not None
    assert certificates.renewed() is None


@pytest.mark.parametrize("which", ["certificate", "key", "client_ca"])
@pytest.mark.parametrize("broken", ["gone", "nonsense"])
def test_files_that_cannot_be_used_refuse_the_start(files: Files, which: str, broken: str) -> None:
    path: Path = getattr(files, which)
    path.unlink() if broken == "gone" else path.write_text("nonsense")
    with pytest.raises(SettingsError, match="tls_"):
        Certificates(files.certificate, files.key, files.client_ca)


def test_a_key_of_another_certificate_refuses_the_start(files: Files) -> None:
    key = files.authority.issue_cert("localhost").private_key_pem.bytes()
    files.key.write_bytes(key)
    with pytest.raises(SettingsError, match="not a PEM chain and its key"):
        Certificates(files.certificate, files.key, None)
