"""The searcher itself: what is planted is found, in every form and packing, at every place."""

import base64
import gzip
import json
import os
import zlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.e2e.key_search import PrivateKey, Searcher, integers, secrets_of, whole

KEYS: dict[str, PrivateKey] = {
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
}
SEARCHER = Searcher(secret for name, key in KEYS.items() for secret in secrets_of(name, key))
# Code of the payload -> a history in JSON, as Temporal writes it.
PLAIN: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda der: der,
    "hex": lambda der: der.hex().encode(),
    "HEX": lambda der: der.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "base64 one on": lambda der: base64.b64encode(b"k" + der),
    "base64 two on": lambda der: base64.b64encode(b"ke" + der),
    "base64url two on": lambda der: base64.urlsafe_b64encode(b"ke" + der),
    "gzip": gzip.compress,
    "zlib": lambda der: zlib.compress(der, 9),
    "gzip in a payload": lambda der: json.dumps({"data": base64.b64encode(gzip.compress(der)).decode()}).encode(),
    "base64 in gzip": lambda der: gzip.compress(b'{"data": "' + base64.b64encode(der) + b'"}'),
    "gzip in zlib": lambda der: zlib.compress(gzip.compress(der)),
}


@pytest.mark.parametrize("write", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("name", KEYS)
def test_a_planted_key_is_found_wherever_it_stands(name: str, write: Callable[[bytes], bytes]) -> None:
    for der in whole(KEYS[name]).values():
        for before in range(9):
            planted = os.urandom(4096 + before) + write(der) + os.urandom(3000)
            assert any(found.startswith(name) for found in SEARCHER.search(planted))


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("name", KEYS)
def test_a_planted_pem_is_found_also_inside_json(name: str, form: PrivateFormat) -> None:
    pem = KEYS[name].private_bytes(Encoding.PEM, form, NoEncryption())

    for planted in (pem, pem.replace(b"\n", b"\r\n"), json.dumps({"key": pem.decode()}).encode()):
        assert any(found.startswith(name) for found in SEARCHER.search(b"x" * 77 + planted))


@pytest.mark.parametrize("name", KEYS)
def test_each_secret_integer_alone_is_found(name: str) -> None:
    for word, number in integers(KEYS[name]).items():
        raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
        for planted in (raw, raw[::-1], str(number).encode(), base64.b64encode(b"a" + raw)):
            found = SEARCHER.search(os.urandom(501) + planted + os.urandom(99))
            assert any(hit.startswith(f"{name} {word}") for hit in found), word


def test_nothing_is_found_where_nothing_is() -> None:
    public = KEYS["rsa"].public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    modulus = public.public_numbers().n.to_bytes(256, "big")

    assert SEARCHER.search(os.urandom(2_000_000) + modulus + base64.b64encode(modulus)) == set()
