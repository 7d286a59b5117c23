"""TLS at both ends: the coordinator's certificate, and the site that takes no other one."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from secagg_protocols import InputError


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, reached by nobody else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def server_context(certificate: Path, key: Path, now: datetime) -> ssl.SSLContext:
    """Coordinator: return what it speaks TLS with. Raises `InputError`."""
    _check_time(_read(certificate), certificate, now)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # nobody is there to type one
    except FileNotFoundError:
        raise InputError(f"{key} does not exist; give the certificate's private key (--tls-key)") from None
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{key} (--tls-key) is not the private key of {certificate} (--tls-cert): {error}") from None
    return context


def pinned_context(certificate: Path | None, now: datetime) -> ssl.SSLContext:
    """Site: return what it speaks TLS with: with this certificate alone, whatever the host is called; or without one,
    with whatever this machine trusts. Raises `InputError`."""
    if certificate is None:
        return ssl.create_default_context()
    found = _read(certificate)
    _check_time(found, certificate, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself, whoever issued it
    context.check_hostname = False
    context.load_verify_locations(cadata=found.public_bytes(Encoding.PEM).decode())
    return context


def fingerprint(certificate: Path) -> str:
    """Return the SHA-256 of a certificate, as browsers and openssl show it. Raises `InputError`."""
    return _read(certificate).fingerprint(hashes.SHA256()).hex(":").upper()


def _read(certificate: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{certificate} does not exist; give a certificate in PEM (--tls-cert)") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{certificate} (--tls-cert) is no certificate in PEM: {error}") from None


def _check_time(found: x509.Certificate, path: Path, now: datetime) -> None:
    if now > found.not_valid_after_utc:
        raise InputError(f"{path} (--tls-cert) has expired at {found.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: renew it")
    if now < found.not_valid_before_utc:
        raise InputError(f"{path} (--tls-cert) is not valid before {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
