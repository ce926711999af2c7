"""Who may speak to the API server: its certificate, the users' tokens and their kubeconfigs.

The administrator is in group system:masters; every other user has no group, hence only what RBAC grants it.
"""

from __future__ import annotations

import datetime
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ADMIN = "admin"


@dataclass(frozen=True)
class Access:
    """Files and tokens, all below one folder."""

    folder: Path
    tokens: dict[str, str]

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def certificate(self) -> Path:
        return self.folder / "server.crt"

    @property
    def key(self) -> Path:
        return self.folder / "server.key"

    @property
    def service_account_key(self) -> Path:
        return self.folder / "service-account.key"

    @property
    def token_file(self) -> Path:
        return self.folder / "tokens.csv"

    def kubeconfig(self, user: str, server: str) -> Path:
        """Writes (once) and returns the kubeconfig of a user for the API server at this URL.

        Raises:
            LookupError: The plane was not started with this user.
        """
        if user not in self.tokens:
            known = ", ".join(sorted(self.tokens))
            raise LookupError(f"no user {user!r}: name it in PlaneOptions.users (there are {known})")
        path = self.folder / f"{user.replace(':', '_')}.kubeconfig"
        if not path.exists():
            path.write_text(yaml.safe_dump(self._kubeconfig(user, server)))
            path.chmod(0o600)
        return path

    def _kubeconfig(self, user: str, server: str) -> dict[str, object]:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "local",
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": user}}],
            "clusters": [
                {"name": "local", "cluster": {"server": server, "certificate-authority": str(self.ca)}}
            ],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
        }


def create_access(folder: Path, users: Sequence[str]) -> Access:
    """Makes keys, certificates for 127.0.0.1 and a token for the administrator and each user."""
    folder.mkdir(parents=True, exist_ok=True)
    access = Access(folder, {user: secrets.token_hex(16) for user in (ADMIN, *users)})
    groups = {ADMIN: "system:masters"}
    lines = [
        f'{token},{user},{user},"{groups.get(user, "")}"'.removesuffix(',""')
        for user, token in access.tokens.items()
    ]
    _write_private(access.token_file, "\n".join(lines) + "\n")
    _write_certificates(access)
    _write_key(access.service_account_key, ec.generate_private_key(ec.SECP256R1()))
    return access


def _write_certificates(access: Access) -> None:
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, server_name = _name("local control plane CA"), _name("local control plane")
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        _builder(server_name, ca_name, server_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    access.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    access.certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
    _write_key(access.key, server_key)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    _write_private(path, key.private_bytes(encoding, form, serialization.NoEncryption()).decode())


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
