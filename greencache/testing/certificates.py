"""Certificates that nobody else trusts, for tests of TLS."""

import dataclasses
import datetime as dt
import pathlib
import ssl
from collections.abc import Sequence

__all__ = ["Certificates", "make_certificates"]

_DAY = dt.timedelta(days=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Certificates:
    """Files of an authority, and of a server and a client that it vouches for.

    Args:
        authority: What both trust; in URLs of Redis `ssl_ca_certs`.
        server: The server's certificate, and the chain to the authority.
        server_key: Its private key.
        client: The client's certificate; `ssl_certfile`.
        client_key: Its private key; `ssl_keyfile`.
    """

    authority: pathlib.Path
    server: pathlib.Path
    server_key: pathlib.Path
    client: pathlib.Path
    client_key: pathlib.Path

    def server_context(self, *, demands_client: bool = False) -> ssl.SSLContext:
        """Return what a server, or a `TcpProxy` in front of one, needs to speak TLS.

        Args:
            demands_client: Whether clients must show a certificate of the same authority.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.authority)
        context.load_cert_chain(self.server, self.server_key)
        context.verify_mode = ssl.CERT_REQUIRED if demands_client else ssl.CERT_NONE
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return what a client needs to trust the server and to show who it is."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.authority)
        context.load_cert_chain(self.client, self.client_key)
        return context


def make_certificates(
    folder: pathlib.Path, *, hosts: Sequence[str] = ("127.0.0.1", "localhost"), expired: bool = False
) -> Certificates:
    """Make an authority, a server's and a client's certificate. Needs the package `trustme`.

    Args:
        folder: Where the files go; it is made if need be.
        hosts: Whose certificate the server's is; name others to have it refused.
        expired: Whether the server's certificate was valid until yesterday.
    """
    import trustme

    folder.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    authority = trustme.CA()
    end = now - _DAY if expired else now + _DAY
    certificates = Certificates(
        *(folder / name for name in ("authority.pem", "server.pem", "server.key", "client.pem", "client.key"))
    )
    authority.cert_pem.write_to_path(certificates.authority)
    server = authority.issue_cert(*hosts, not_before=now - 2 * _DAY, not_after=end)
    client = authority.issue_cert("client@greencache.test")
    for leaf, path, key in (
        (server, certificates.server, certificates.server_key),
        (client, certificates.client, certificates.client_key),
    ):
        key.touch(mode=0o600)  # for nobody else to read, from the first byte on
        leaf.private_key_pem.write_to_path(key)
        for number, pem in enumerate(leaf.cert_chain_pems):
            pem.write_to_path(path, append=number > 0)
    return certificates
