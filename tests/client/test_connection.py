"""Where plaintext is allowed, and that a token is never sent in clear to anybody else."""

import socket
import threading
from collections.abc import Generator
from pathlib import Path

import grpc
import pytest
import trustme

import accredit
from accredit._connection import connection, is_local
from accredit.v1 import agent_pb2
from tests.client.conftest import Ask
from tests.client.peer import Peer
from tests.client.test_calls import FOUND, get_agent

TOKEN = "acr_id1_secret1"
ONCE = accredit.Retries(max_attempts=1)


@pytest.mark.parametrize(
    "address",
    [
        "localhost",
        "localhost:443",
        "127.0.0.1:443",
        "127.8.9.10",
        "::1",
        "[::1]",
        "[::1]:443",
        "dns:localhost:443",
        "dns:///localhost:443",
        "dns:127.0.0.1",
        "ipv4:127.0.0.1:443",
        "ipv4:127.0.0.1:1,127.0.0.2:2",
        "ipv6:[::1]:443",
        "unix:relative.sock",
        "unix:///run/accredit.sock",
        "unix-abstract:accredit",
    ],
)
def test_this_machine_is(address: str) -> None:
    assert is_local(address)
    assert connection(address).credentials is None


@pytest.mark.parametrize(
    "address",
    [
        "registry.example.org:443",
        "localhost.example.org",
        "unlocalhost:443",
        "LOCALHOST:443",
        "unix",
        "10.0.0.1:443",
        "0.0.0.0:443",
        "[::]:443",
        "[::ffff:10.0.0.1]:443",
        "[2001:db8::1]:443",
        "2001:db8::1",
        "127.0.0.1.example.org",
        "ipv4:127.0.0.1:1,10.0.0.1:2",
        "dns://10.0.0.1/localhost:443",
        "dns:////localhost:443",
        "localhost:443@example.org",
        "xds:///localhost",
        "vsock:1:2",
        "[::1",
    ],
)
def test_another_machine_or_a_doubt_is(address: str) -> None:
    assert not is_local(address)
    assert connection(address).credentials is not None
    assert connection(address, insecure=True).credentials is None


def test_a_certificate_authority_makes_even_loopback_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    assert connection("localhost:1", ca_file=file).credentials is not None
    monkeypatch.setenv("ACCREDIT_CA_FILE", str(file))
    assert connection("localhost:1").credentials is not None
    assert connection("localhost:1", insecure=True).credentials is None


def test_contradictions_and_gaps_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ACCREDIT_ADDRESS"):
        accredit.Client()
    with pytest.raises(ValueError, match="exclude"):
        accredit.Client("localhost:1", insecure=True, ca_file="ca.pem")
    with pytest.raises(ValueError, match="exclude"):
        accredit.Client("localhost:1", token="a", token_file=tmp_path / "b")
    with pytest.raises(ValueError, match="site"):
        accredit.Client("localhost:1", site=0)
    with pytest.raises(FileNotFoundError):
        accredit.Client("localhost:1", ca_file=tmp_path / "missing")


def test_a_site_of_the_environment_must_be_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCREDIT_SITE", "main")
    with pytest.raises(ValueError, match="ACCREDIT_SITE"):
        accredit.Client("localhost:1")


class Eavesdropper:
    """Accepts one connection, keeps the first bytes of it, and hangs up."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.heard = b""
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            stream, _ = self._socket.accept()
        except OSError:
            return
        with stream:
            self.heard = stream.recv(65536)

    def close(self) -> bytes:
        """Stop, and say what was heard."""
        # Not close(): only a shutdown wakes a thread that waits in accept().
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        return self.heard


@pytest.fixture
def eavesdropper() -> Generator[Eavesdropper]:
    listening = Eavesdropper()
    yield listening
    if listening._socket.fileno() >= 0:
        listening.close()


def test_a_host_that_is_not_loopback_is_spoken_to_in_tls(
    ask: Ask, eavesdropper: Eavesdropper
) -> None:
    # Linux takes a connection to 0.0.0.0 to itself; to us it is not a loopback address.
    with pytest.raises((accredit.Unavailable, accredit.DeadlineExceeded)):
        ask(f"0.0.0.0:{eavesdropper.port}", get_agent, token=TOKEN, retries=ONCE, timeout=5)
    heard = eavesdropper.close()
    assert heard[:1] == b"\x16", "the first byte of a TLS handshake"
    assert b"secret1" not in heard


def test_plaintext_for_this_machine_does_not_go_through_a_proxy(
    peer: Peer, ask: Ask, eavesdropper: Eavesdropper, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = f"http://127.0.0.1:{eavesdropper.port}"
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, proxy)
    peer.script("GetAgent", FOUND)
    assert ask(f"localhost:{peer.port}", get_agent, token=TOKEN) == FOUND
    assert eavesdropper.close() == b""


def test_tls_with_an_authority_of_ones_own(ask: Ask, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    credentials = grpc.ssl_server_credentials(
        [
            (
                certificate.private_key_pem.bytes(),
                b"".join(blob.bytes() for blob in certificate.cert_chain_pems),
            )
        ]
    )
    with Peer(credentials) as peer:
        peer.script("GetAgent", FOUND)
        address = f"localhost:{peer.port}"
        assert ask(address, get_agent, token=TOKEN, ca_file=tmp_path / "ca.pem") == FOUND
        assert peer.seen[0].metadata["authorization"] == f"Bearer {TOKEN}"
        with pytest.raises(accredit.Unavailable):
            ask(address, get_agent, credentials=grpc.ssl_channel_credentials(), retries=ONCE)


def test_one_layer_repeats_calls_and_reconnects_as_fast_as_it_does() -> None:
    options = dict(connection("localhost:1").options)
    assert options["grpc.enable_retries"] == 0
    assert options["grpc.initial_reconnect_backoff_ms"] == 100


def test_the_callers_channel_options_win() -> None:
    own = [("grpc.max_receive_message_length", 1), ("grpc.primary_user_agent", "mine")]
    options = dict(connection("localhost:1", options=own).options)
    assert options["grpc.max_receive_message_length"] == 1
    assert options["grpc.primary_user_agent"] == "mine"


def test_a_reply_of_many_megabytes_is_taken(peer: Peer, ask: Ask) -> None:
    large = agent_pb2.GetAgentResponse()
    large.agent.config["text"] = "x" * (8 * 1024 * 1024)
    peer.script("GetAgent", large)
    assert ask(peer.address, get_agent) == large
