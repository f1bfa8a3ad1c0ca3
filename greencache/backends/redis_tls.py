"""Secure connections: whom we trust, and why none came about and what to do about it."""

import functools
import pathlib
import ssl
from collections.abc import Mapping
from typing import Final

from greencache.errors import ConfigurationError, SecureConnectionError

__all__ = ["TLS_OPTIONS", "check_tls", "client_context", "explain_tls", "is_hang_up"]

_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_DEMANDS: Final[Mapping[str, ssl.VerifyMode]] = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_YES_OR_NO: Final[Mapping[str, bool]] = {"true": True, "false": False}

TLS_OPTIONS: Final = frozenset({*_FILES, "ssl_cert_reqs", "ssl_check_hostname"})
"""What a URL may say about TLS."""

_UNTRUSTED: Final = (
    "nobody whom we trust vouches for its certificate; name its authority's file as ssl_ca_certs"
)
_CERTIFICATES: Final[Mapping[int, str]] = {
    9: "its certificate is not valid yet; are the clocks of both machines right?",
    10: "its certificate has expired; renew it on the server",
    62: "its certificate is for another host; connect by a name that it has, or issue one that has it",
    64: "its certificate is for another address; connect by a name that it has, or issue one that has it",
}
"""By OpenSSL's number of what is wrong with a certificate (X509_V_ERR_…)."""
_DEMANDED: Final = (
    "it demands a certificate of ours that it trusts; name the files as ssl_certfile and ssl_keyfile"
)
_NO_TLS: Final = "it speaks no TLS on this port; take its TLS port, or a redis:// URL instead of rediss://"
_TOO_OLD: Final = "it offers no version of TLS that is safe today; let it offer 1.2 or newer"
_REASONS: Final[Mapping[str, str]] = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _DEMANDED,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _DEMANDED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _DEMANDED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _DEMANDED,
    "TLSV1_ALERT_UNKNOWN_CA": _DEMANDED,
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "NO_PROTOCOLS_AVAILABLE": _TOO_OLD,
}
"""By OpenSSL's name of what has happened."""


def check_tls(options: Mapping[str, str]) -> None:
    """Refuse options of a URL that mean nothing.

    Raises:
        ConfigurationError: For a word that is none of those expected.
    """
    for name, words in (("ssl_cert_reqs", _DEMANDS), ("ssl_check_hostname", _YES_OR_NO)):
        if name in options and options[name] not in words:
            raise ConfigurationError(
                f"expected {' or '.join(words)} for {name} in a Redis URL, got {options[name][:20]!r}"
            )


def client_context(options: Mapping[str, str]) -> ssl.SSLContext:
    """Return what a client needs for TLS: files are read again once they have changed.

    Verifies certificate and host unless it is told not to. Where an authority is named, no other is trusted.

    Args:
        options: As of a URL, out of `TLS_OPTIONS`.

    Raises:
        SecureConnectionError: A file cannot be used.
    """
    named = tuple(sorted(options.items()))
    # Reading the system's authorities takes longer than a handshake: not for each connection.
    return _context_for(named, tuple(_changed_at(name, path) for name, path in named if name in _FILES))


@functools.lru_cache(maxsize=64)
def _context_for(named: tuple[tuple[str, str], ...], _: tuple[int, ...]) -> ssl.SSLContext:
    options = dict(named)
    try:
        context = ssl.create_default_context(
            cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path")
        )
        if "ssl_certfile" in options:
            context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"), password="")
    except OSError as error:
        files = ", ".join(f"{name}={options[name]}" for name in _FILES if name in options)
        raise SecureConnectionError(
            f"expected certificates and a key without a passphrase in PEM form in {files}; got {error}"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    demand = _DEMANDS[options.get("ssl_cert_reqs", "required")]
    is_host_checked = _YES_OR_NO[options.get("ssl_check_hostname", "true")]
    context.check_hostname = is_host_checked and demand is not ssl.CERT_NONE
    context.verify_mode = demand
    return context


def _changed_at(name: str, path: str) -> int:
    try:
        return pathlib.Path(path).stat().st_mtime_ns
    except OSError as error:
        raise SecureConnectionError(
            f"cannot read the file that {name} names, {path}: {error.strerror}"
        ) from None


def explain_tls(name: str, error: ssl.SSLError, said: str) -> SecureConnectionError:
    """Return our error for a connection that is not secure.

    Args:
        name: The server.
        error: What OpenSSL has found.
        said: Its words, fit to be shown.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        cure = _CERTIFICATES.get(getattr(error, "verify_code", 0), _UNTRUSTED)
    else:
        cure = _REASONS.get(error.reason or "", "do both sides speak the same TLS?")
    return SecureConnectionError(f"{name}: no secure connection: {cure} ({said})")


def is_hang_up(error: Exception) -> bool:
    """Return whether the server has closed a connection, which OpenSSL reports in its own way."""
    return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
