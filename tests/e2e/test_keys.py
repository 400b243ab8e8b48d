"""Keys never travel: after everything that the other tests did, no private key lies where none may be."""

import base64
import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from activities.keys.envelope import unwrap
from tests.e2e.key_search import PrivateKey, Searcher, Secret, raw_secrets, secrets_of, whole
from tests.e2e.product import Product
from tests.launcher.waiting import LONG_SECONDS

pytestmark = pytest.mark.e2e
Haystack = tuple[str, bytes]
Source = Callable[[Product], Iterator[Haystack]]
# Key files, where keys belong: the targets of the estate, its CAs, and the key-encryption keys.
AT_HOME = ("demo/endpoints/", "demo/vpn/", "demo/ca/", "demo/removed/", "ca.kek", "leaf.kek")


def connected(product: Product) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(product.status["database_url"].replace("postgresql+psycopg://", "postgresql://"))


def keys_in_custody(product: Product) -> dict[str, PrivateKey]:
    """Every leaf key that was made and every CA key, unwrapped as the workers do it."""
    leaf, ca = ((product.data_dir / name).read_bytes() for name in ("leaf.kek", "ca.kek"))
    with connected(product) as connection:
        leaves = connection.execute("SELECT id, wrapped FROM keys WHERE wrapped IS NOT NULL").fetchall()
        cas = connection.execute("SELECT name, wrapped_key FROM ca_authorities").fetchall()
    opened = {f"leaf {name}": unwrap(leaf, bytes(wrapped), str(name)) for name, wrapped in leaves}
    opened |= {f"CA {name}": unwrap(ca, bytes(wrapped), f"ca/{name}") for name, wrapped in cas}
    assert len(leaves) >= 10 and len(cas) >= 10
    return {name: _kind(load_der_private_key(der, None)) for name, der in opened.items()}


def keys_of_the_estate(product: Product) -> dict[str, PrivateKey]:
    found: dict[str, PrivateKey] = {}
    for path in (product.data_dir / "demo").rglob("*"):
        if path.is_file() and b"PRIVATE KEY" in (content := path.read_bytes()):
            name = str(path.relative_to(product.data_dir))
            assert name.startswith(AT_HOME), name
            found[name] = _kind(load_pem_private_key(content, None))
    assert len(found) >= 320
    return found


def _kind(key: object) -> PrivateKey:
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return key


def files(product: Product) -> Iterator[Haystack]:
    """Logs, mails, the run file, the database's and Temporal's files with their write-ahead logs."""
    for path in sorted(product.data_dir.rglob("*")):
        name = str(path.relative_to(product.data_dir))
        if path.is_file() and not name.startswith(AT_HOME):
            try:
                yield name, path.read_bytes()
            except FileNotFoundError:
                continue  # The servers still run, and tidy up.


def tables(product: Product) -> Iterator[Haystack]:
    """Every table of PostgreSQL row by row in binary: what its pages compress stands here in full."""
    with connected(product) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            with connection.cursor().copy(f'COPY "{name}" TO STDOUT (FORMAT binary)'.encode()) as copy:
                yield f"table {name}", b"".join(bytes(piece) for piece in copy)


def temporal_rows(product: Product) -> Iterator[Haystack]:
    """Every value of Temporal's store: one that spans pages of the file stands here in one piece."""
    file = sqlite3.connect(f"file:{product.data_dir / 'temporal.db'}?mode=ro", uri=True, timeout=LONG_SECONDS)
    try:
        names = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            rows = file.execute(f'SELECT * FROM "{name}"')
            values = (value for row in rows for value in row if isinstance(value, bytes | str))
            plain = (value if isinstance(value, bytes) else value.encode() for value in values)
            yield f"temporal {name}", b"\n".join(plain)
    finally:
        file.close()


def answers(product: Product) -> Iterator[Haystack]:
    """What the API says: lists, and all about each certificate that anything was done with."""
    for path in ("/v1/approvals?limit=200", "/v1/discoveries", "/v1/status", "/openapi.json", "/v1/me"):
        yield path, product.ask("GET", path).content
    items = product.every("/v1/certificates")
    yield "/v1/certificates", json.dumps(items).encode()
    for item in items:
        if item["generation"] == 1 and item["state"] == "sleeping":
            continue
        here = f"/v1/certificates/{item['id']}"
        yield here, product.ask("GET", here).content
        for generation in range(1, item["generation"] + 1):
            yield f"{here}/history", product.ask("GET", f"{here}/history?generation={generation}").content
        yield f"{here}/timeline", product.ask("GET", f"{here}/timeline").content
        for order in product.certificate(item["id"])["orders"]:
            yield order["order_key"], product.ask("GET", f"/v1/orders/{order['order_key']}").content


@pytest.fixture(scope="module")
def searcher(product: Product) -> Searcher:
    keys = keys_in_custody(product) | keys_of_the_estate(product)
    secrets: list[Secret] = [secret for name, key in keys.items() for secret in secrets_of(name, key)]
    for name in ("ca.kek", "leaf.kek"):
        secrets += raw_secrets(name, (product.data_dir / name).read_bytes())
    return Searcher(secrets)


@pytest.mark.parametrize("source", [files, tables, temporal_rows, answers])
def test_no_private_key_lies_where_none_may_be(product: Product, searcher: Searcher, source: Source) -> None:
    found: dict[str, set[str]] = {}
    size = 0
    for name, haystack in source(product):
        size += len(haystack)
        if hits := searcher.search(haystack):
            found[name] = hits
    assert not found
    assert size > 100_000, "there was nothing to search"


def test_a_key_planted_into_copies_of_them_is_found(product: Product, searcher: Searcher) -> None:
    name, key = next((name, key) for name, key in keys_in_custody(product).items() if name.startswith("leaf "))
    der = whole(key)["pkcs8"]
    copies = [value for path, value in files(product) if path in ("temporal.db", "up.log")]

    for copy in copies:
        middle = len(copy) // 2
        for written in (der, der.hex().encode(), gzip.compress(der), base64.b64encode(b"k" + der)):
            hits = searcher.search(copy[:middle] + written + copy[middle:])
            assert any(hit.startswith(name) for hit in hits)
