"""TLS by files, read again when they change, so that a renewed certificate needs no restart."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from . import logs
from .setting_rules import SettingsError
from .settings import check_private

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What tells one version of the files from another."""

    files: tuple[tuple[int, int, int], ...]


class Certificates:
    """A certificate, its key and perhaps the authorities of its clients, as they are on disk."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        """Raises SettingsError where they cannot be used."""
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._seen: _Stamp | None = None
        try:
            self._first = self._load()
        except OSError as error:
            named = error.filename or certificate
            raise SettingsError(
                f"tls_certificate, tls_key or tls_client_ca: {named}: {error.strerror or error}"
            ) from None

    def credentials(self) -> grpc.ServerCredentials:
        """What gRPC serves with."""
        return grpc.dynamic_ssl_server_credentials(
            self._first,
            self.renewed,  # type: ignore[arg-type] # Its stub does not know that None is allowed.
            require_client_authentication=self._client_ca is not None,
        )

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """The files' new content if they have changed since, None to go on with what there is.

        gRPC asks at each handshake. Files that do not fit together, as in the middle of a renewal,
        are left alone until they change again.
        """
        try:
            if self._stamp() == self._seen:
                return None
            renewed = self._load()
        except (OSError, SettingsError) as error:
            log.warning("certificate not renewed", extra=logs.fields(why=str(error)))
            return None
        log.info("certificate renewed")
        return renewed

    def _load(self) -> grpc.ServerCertificateConfiguration:
        # Noted first: what changes while it is read is read again at the next handshake, and what
        # is broken is complained of once.
        self._seen = self._stamp()
        check_private("tls_key", self._key)
        chain, key = self._certificate.read_bytes(), self._key.read_bytes()
        authorities = None if self._client_ca is None else self._client_ca.read_bytes()
        self._check()
        if self._stamp() != self._seen:
            self._seen = None
            raise SettingsError("the files are being written")
        return grpc.ssl_server_certificate_configuration(
            [(key, chain)], root_certificates=authorities
        )

    def _check(self) -> None:
        """Raise SettingsError unless the files fit: gRPC would take any and fail at handshakes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # An encrypted key would ask for its password on the terminal.
            context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except ssl.SSLError as error:
            raise SettingsError(
                f"tls_certificate, tls_key: not a PEM chain and its key: {_why(error)}"
            ) from None
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except ssl.SSLError as error:
                raise SettingsError(f"tls_client_ca: no PEM certificates: {_why(error)}") from None

    def _stamp(self) -> _Stamp:
        paths = [self._certificate, self._key, self._client_ca]
        stats = [path.stat() for path in paths if path is not None]
        return _Stamp(tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in stats))


def _why(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
