"""Certificates are checked against the address's host, on connections to checked addresses."""

from __future__ import annotations

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .conftest import image


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for secure.test: the file of the certificate, and of it with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secure.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("secure.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "public.pem").write_bytes(public)
    (folder / "both.pem").write_bytes(public + private)
    return folder / "public.pem", folder / "both.pem"


@pytest.fixture
def secure(web, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1])
    web.server.socket = context.wrap_socket(web.server.socket, server_side=True)
    web.on("/a.png", image())
    return web


def test_a_certificate_for_the_host_is_accepted(secure, fetch, certificate):
    url = f"https://secure.test:{secure.port}/a.png"
    assert set(fetch(url, allow_hosts=("secure.test",), ca_file=str(certificate[0])).images) == {url}


def test_other_certificates_are_not(secure, fetch, certificate):
    url = f"https://secure.test:{secure.port}/a.png"
    wrong_host = f"https://site.test:{secure.port}/a.png"
    unknown = fetch(url, allow_hosts=("secure.test",))
    assert unknown.reasons == {url: "error:robots_unreachable"}
    assert "tls_error" in unknown.outcomes.rows("rejected")[0]["detail"]
    assert fetch(wrong_host, ca_file=str(certificate[0])).reasons == {wrong_host: "error:robots_unreachable"}
    assert secure.server.log == []
