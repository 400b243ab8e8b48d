"""PEM that we read with more care than a server does is told, with its line; what a server reads whole is not."""

import ssl
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import BadInput
from formats.pem import load_pem_chain, pem_flaws
from formats.x509 import pem_of
from tests.formats.test_x509 import certificate

LEAF, _ = certificate("leaf", 90)
OTHER, _ = certificate("other", 90, ca=True)
WHOLE = pem_of((LEAF, OTHER))
BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (WHOLE, ""),
        (WHOLE.replace(b"-----\n-----", b"----------"), "line {}: something stands behind -----END CERTIFICATE-----"),
        (WHOLE.replace(b"\n", b"\r"), "line 1: its lines end in CR alone"),
        (WHOLE.replace(b"\n", b"\r\n"), ""),
        (BOM + WHOLE, ""),
        (pem_of((LEAF,)) + BOM + pem_of((OTHER,)), "line {}: -----BEGIN CERTIFICATE----- does not begin its line"),
        (WHOLE.decode().encode("utf-16"), "line 1: it is saved as UTF-16"),
        (b" " + WHOLE, "line 1: -----BEGIN CERTIFICATE----- does not begin its line"),
        (b"subject=leaf\n" + WHOLE, ""),
    ],
)
def test_both_certificates_are_read_and_what_no_server_reads_is_told(data: bytes, flaw: str) -> None:
    assert load_pem_chain(data) == (LEAF, OTHER)
    told = pem_flaws(data)
    line = data.split(b"-----END")[0].count(b"\n") + 1 + (BOM in data)
    assert bool(told) is bool(flaw)
    assert not flaw or told[0].startswith(flaw.format(line))


ENDED = pem_of((LEAF,))
BEGUN = b"".join(pem_of((OTHER,)).splitlines(keepends=True)[:4])
AT = ENDED.count(b"\n") + 1
BEGIN = "-----BEGIN CERTIFICATE-----"


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (ENDED + BEGUN, f"line {AT}: {BEGIN} is cut short: the file ends without its END"),
        (ENDED + BEGUN[:28], f"line {AT}: {BEGIN} is cut short: the file ends without its END"),
        (WHOLE.rstrip(b"\n")[:-1], f"line {AT}: {BEGIN} is cut short: the file ends without its END"),
        (BEGUN + ENDED, f"line 1: {BEGIN} is cut short: {BEGIN} follows in line 5"),
        (BOM + BEGUN + b"-----END X509 CRL-----\n", f"line 1: {BEGIN} is cut short: -----END X509 CRL----- follows"),
        (ENDED + b"-----BEGIN PRIVATE KEY-----\nMIGH\n", f"line {AT}: -----BEGIN PRIVATE KEY----- is cut short"),
        (ENDED + b"-----END CERTIFICATE-----\n", ""),
    ],
)
def test_a_block_that_does_not_end_is_told_as_openssl_refuses_the_file_for_it(
    tmp_path: Path, data: bytes, flaw: str
) -> None:
    (tmp_path / "chain.pem").write_bytes(data)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(tmp_path / "chain.pem")
        is_read = True
    except ssl.SSLError:
        is_read = False
    told = pem_flaws(data)
    assert is_read is not bool(told)
    assert not flaw or told[0].startswith(flaw)


def test_what_is_cut_short_is_refused_with_its_line() -> None:
    with pytest.raises(BadInput, match=f"line 1: {BEGIN} is cut short"):
        load_pem_chain(BEGUN + ENDED)


def test_a_file_of_many_slips_is_told_by_its_first_ones() -> None:
    assert len(pem_flaws(b" -----BEGIN CERTIFICATE-----\n" * 1000)) == 5


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"-----BEGIN CERTIFICATE-----\n"])
def test_what_holds_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        load_pem_chain(data)


PARTS = st.sampled_from([b"\n", b"", b" ", b"\t", b"\r\n", b"\r", b"text", b"text\n", b"\n\n", b"# x\n"])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(PARTS, PARTS, PARTS, st.booleans())
def test_a_file_is_flawed_exactly_when_openssl_reads_less_of_it(
    tmp_path: Path, head: bytes, joint: bytes, tail: bytes, has_bom: bool
) -> None:
    """Python's ssl is OpenSSL's reader, which nginx, HAProxy and postfix use as well."""
    leaf, other = pem_of((LEAF,)).rstrip(b"\n"), pem_of((OTHER,)).rstrip(b"\n")
    data = BOM * has_bom + head + leaf + joint + other + tail
    (tmp_path / "chain.pem").write_bytes(data)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(tmp_path / "chain.pem")
    except ssl.SSLError:
        is_whole = False
    else:
        is_whole = context.cert_store_stats()["x509"] == len(load_pem_chain(data)) == 2
    assert is_whole is not bool(pem_flaws(data)), data
