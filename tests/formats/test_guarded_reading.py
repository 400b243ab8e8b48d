"""One extension that is odd, damaged or doubled hides no other: names, CA:TRUE and usages of the rest are read."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from domain.certificate import Certificate
from domain.errors import BadInput
from formats import der
from formats.extensions import word
from formats.links import Link
from formats.pem import load_pem_chain
from formats.x509 import may_issue, parse_certificate, pem_of
from tests.formats.test_x509 import certificate
from tests.launcher.waiting import LONG_SECONDS
from tests.needed import programs

HERE = Path(__file__).parent
SAMPLE, _ = certificate("sample", 90)
SAN, BASIC, USAGES, USAGE, POLICIES = 0x11, 0x13, 0x25, 0x0F, 0x20
GOOD = {
    SAN: bytes.fromhex("301f820b") + b"one.example" + bytes.fromhex("8704 0a010203 820a") + b"a.two.test",
    BASIC: bytes.fromhex("30030101ff"),
    USAGES: bytes.fromhex("300a06082b06010505070301"),
    USAGE: bytes.fromhex("03020106"),
    POLICIES: bytes.fromhex("300830060604551d2000"),
}
NAMES = ("10.1.2.3", "a.two.test", "one.example")


def extension(last: int, value: bytes, is_critical: bool = False) -> bytes:
    oid = der.wrapped(der.OBJECT_IDENTIFIER, bytes((0x55, 0x1D, last)))
    critical = der.wrapped(der.BOOLEAN, b"\xff") if is_critical else b""
    return der.wrapped(der.SEQUENCE, oid + critical + der.wrapped(der.OCTET_STRING, value))


def having(extensions: Sequence[bytes]) -> bytes:
    """The sample with these extensions alone; its signature is nobody's business here."""
    tbs, *rest = der.parts_of(der.only(SAMPLE, der.SEQUENCE))
    fields = [part.whole for part in der.parts_of(tbs.content) if part.tag != der.EXTENSIONS]
    listed = der.wrapped(der.EXTENSIONS, der.wrapped(der.SEQUENCE, b"".join(extensions)))
    body = der.wrapped(der.SEQUENCE, b"".join(fields) + listed)
    return der.wrapped(der.SEQUENCE, body + b"".join(part.whole for part in rest))


def survives(read: Certificate, but: int) -> None:
    """Every field that does not come from the extension ``but``."""
    assert but == SAN or (read.names == NAMES and not read.false_names)
    assert but == BASIC or read.is_ca
    assert but == USAGES or read.extended_key_usages == ("1.3.6.1.5.5.7.3.1",)
    assert (read.algorithm, read.key_bits, read.serial) == ("ecdsa", 256, parse_certificate(SAMPLE).serial)


def test_the_sample_is_whole() -> None:
    read = parse_certificate(having([extension(last, value) for last, value in GOOD.items()]))
    survives(read, but=0)
    assert read.flaws == ()


@given(st.sampled_from(sorted(GOOD)), st.binary(max_size=40), st.booleans(), st.randoms(use_true_random=False))
def test_whatever_stands_in_one_extension_the_others_are_read(
    last: int, value: bytes, critical: bool, random: Random
) -> None:
    extensions = [extension(one, value if one == last else good, critical) for one, good in GOOD.items()]
    random.shuffle(extensions)
    survives(parse_certificate(having(extensions)), but=last)


@given(st.sampled_from(sorted(GOOD)), st.binary(max_size=40))
def test_a_doubled_extension_is_told_and_hides_nothing_of_the_first(last: int, value: bytes) -> None:
    extensions = [extension(one, good) for one, good in GOOD.items()]
    read = parse_certificate(having([*extensions, extension(last, value)]))
    survives(read, but=last)
    assert any("more than one" in flaw for flaw in read.flaws)
    assert set(read.names) >= set(NAMES) and read.is_ca and read.extended_key_usages


@given(st.binary(max_size=60), st.booleans())
def test_an_extension_that_nobody_knows_hides_nothing(value: bytes, critical: bool) -> None:
    known = [extension(last, good) for last, good in GOOD.items()]
    survives(parse_certificate(having([extension(0x63, value, critical), *known])), but=0)


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (extension(USAGES, b"\x30\x00"), "its extKeyUsage cannot be read"),
        (extension(POLICIES, b"\x05"), "its certificatePolicies cannot be read"),
        (extension(BASIC, b"\x30\x03\x01\x01\x01"), "its basicConstraints cannot be read"),
        (extension(USAGE, b"\x03\x01\x00"), "its keyUsage allows nothing"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_name(odd: bytes, told: str) -> None:
    others = [extension(last, good) for last, good in GOOD.items() if extension(last, good)[:7] != odd[:7]]
    assert told in parse_certificate(having([*others, odd])).flaws


@pytest.mark.parametrize("value", ["30030101ff", "3003010101", "3006 0101ff 020100", "30060101ff0201ff", "3000"])
def test_ca_true_is_seen_as_openssl_sees_it(value: str) -> None:
    made = having([extension(USAGES, b"\x30\x00"), extension(BASIC, bytes.fromhex(value))])
    says_ca = value not in ("3000", "30060101ff0201ff")
    assert parse_certificate(made).is_ca is may_issue(made) is says_ca


def marked(mark: str, last: int = BASIC) -> bytes:
    """The sample, with that between OID and value of one extension."""
    odd = der.parts_of(der.only(extension(last, GOOD[last]), der.SEQUENCE))
    key, value = (part.whole for part in odd)
    others = [extension(one, good) for one, good in GOOD.items() if one != last]
    return having([*others[:2], der.wrapped(der.SEQUENCE, key + bytes.fromhex(mark) + value), *others[2:]])


# What stands between them, and whether OpenSSL loads the certificate.
MARKS = [("010100", True), ("010101", True), ("0101ff", True), ("0100", False), ("01020101", False), ("0500", False)]


@pytest.mark.parametrize(("mark", "is_loaded"), MARKS)
@pytest.mark.parametrize("last", sorted(GOOD))
def test_a_critical_mark_that_is_not_der_hides_nothing(last: int, mark: str, is_loaded: bool) -> None:
    made = marked(mark, last)
    oid = f"2.5.29.{last}"
    told = f"the critical mark of its {word(oid)} is not written as DER has it"
    told = told if is_loaded else f"its {word(oid)} cannot be read"
    read = parse_certificate(made)
    survives(read, but=0)
    assert read.flaws == (() if mark == "0101ff" else (told,))
    assert (oid in Link(made).extensions.critical) is mark.endswith(("01", "ff"))
    assert bool(Link(made).extensions.refused) is not is_loaded
    assert load_pem_chain(pem_of((made, SAMPLE))) == (made, SAMPLE)


@pytest.mark.parametrize(("mark", "is_loaded"), MARKS)
def test_openssl_loads_what_is_not_refused(mark: str, is_loaded: bool) -> None:
    programs("openssl", consequence="what it loads is not compared")
    command = ["openssl", "x509", "-inform", "der", "-noout"]
    done = subprocess.run(command, input=marked(mark), capture_output=True, timeout=LONG_SECONDS)
    assert (done.returncode == 0) is is_loaded


@pytest.mark.parametrize("odd", ["3000", "30020500", "3006 0601 80 0401 05", "3005 0601 2a 0500", "0500"])
def test_what_is_no_extension_at_all_hides_no_other(odd: str) -> None:
    made = having([bytes.fromhex(odd), *[extension(last, good) for last, good in GOOD.items()]])
    read = parse_certificate(made)
    survives(read, but=0)
    assert len(read.flaws) == 1 and "cannot be read" in read.flaws[0]
    assert Link(made).extensions.refused


def test_what_is_no_certificate_is_not_mended_into_one() -> None:
    body = der.only(marked("010100"), der.SEQUENCE)
    for odd in (marked("010100") + b"\x05\x00", der.wrapped(0x31, body), der.wrapped(der.SEQUENCE, body + b"\x05\x00")):
        with pytest.raises(BadInput):
            parse_certificate(odd)


@pytest.mark.parametrize(
    "before",
    [
        [extension(0x63, b"\x05\x00", is_critical=True)] * 5000,
        [extension(number, b"\x05") for number in range(0x40, 0x40 + 63)],
        [extension(POLICIES, b"\x05")] * 70,
    ],
)
def test_whatever_stands_before_them_the_extensions_that_count_are_read(before: Sequence[bytes]) -> None:
    made = having(
        [
            extension(POLICIES, b"\x05"),
            *before,
            *[extension(one, good) for one, good in GOOD.items() if one != POLICIES],
        ]
    )
    survives(parse_certificate(made), but=0)
    assert may_issue(made) and Link(made).extensions.all(x509.KeyUsage)
    told = f"it has {len(before) + 5} extensions, of which 68 were read"
    assert (told in parse_certificate(made).flaws) is (len(before) > 63)


def test_ca_true_is_seen_behind_any_number_that_do_not_say_so() -> None:
    made = having([*[extension(BASIC, b"\x30\x00")] * 20_000, extension(BASIC, GOOD[BASIC])])
    assert may_issue(made) and parse_certificate(made).is_ca


def test_a_critical_extension_behind_the_bound_is_seen() -> None:
    others = [extension(0x63, b"\x05\x00")] * 100
    link = Link(having([extension(USAGES, b"\x30\x00"), *others, extension(0x62, b"\x05\x00", is_critical=True)]))
    assert link.unhandled == "2.5.29.98"


def test_a_name_of_an_unknown_kind_hides_no_other_name() -> None:
    x400 = der.wrapped(0xA3, der.wrapped(der.SEQUENCE, b""))
    bad = der.wrapped(0x82, b"\xff\xfe.example")
    names = der.only(GOOD[SAN], der.SEQUENCE)
    read = parse_certificate(having([extension(SAN, der.wrapped(der.SEQUENCE, x400 + names + bad))]))
    assert (read.names, read.other_names) == (NAMES, ("of a kind that cannot be read",))
    assert read.flaws == ("its subjectAltName cannot be read",)


def test_what_a_common_name_and_an_address_in_a_dns_name_are_worth() -> None:
    bare = parse_certificate(having([extension(BASIC, GOOD[BASIC])]))
    assert bare.names == bare.false_names == ("sample",)
    text = having(
        [extension(SAN, der.wrapped(der.SEQUENCE, der.wrapped(0x82, b"10.1.2.3") + der.wrapped(0x82, b"a.b")))]
    )
    read = parse_certificate(text)
    assert (read.names, read.false_names) == (("10.1.2.3", "a.b"), ("10.1.2.3",))


def test_a_ca_with_an_empty_usage_list_is_a_ca() -> None:
    """As an appliance made it: the library decodes none of its extensions."""
    odd, odd_ca = ((HERE / "inputs" / f"{name}.pem").read_bytes() for name in ("odd", "odd-ca"))
    with pytest.raises(ValueError):
        _ = x509.load_pem_x509_certificate(odd).extensions
    names = parse_certificate(load_pem_chain(odd)[0]).names
    assert names == ("first.odd.example", "second.odd.example", "third.odd.example")
    (whole,) = load_pem_chain(odd_ca)
    assert may_issue(whole) and parse_certificate(whole).is_ca


@pytest.mark.parametrize(
    ("numbers", "bits", "flaw"),
    [
        ((1 << 2047 | 1, 1), 2048, "RSA with the exponent 1"),
        ((1 << 2047 | 1, 65536), 2048, "RSA with the exponent 65536"),
        ((1 << 511 | 1, 65537), 512, ""),
    ],
)
def test_a_key_that_the_library_refuses_is_told_all_the_same(numbers: tuple[int, int], bits: int, flaw: str) -> None:
    integers = [der.wrapped(der.INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big")) for number in numbers]
    key = der.wrapped(der.BIT_STRING, b"\x00" + der.wrapped(der.SEQUENCE, b"".join(integers)))
    spki = der.wrapped(der.SEQUENCE, bytes.fromhex("300d06092a864886f70d0101010500") + key)
    read = parse_certificate(with_key(spki))
    assert (read.algorithm, read.key_bits, read.key_flaw) == ("rsa", bits, flaw)
    assert read.names and read.spki_sha256


def test_a_key_of_an_unknown_curve_is_told_and_hides_no_name() -> None:
    algorithm = der.wrapped(der.SEQUENCE, bytes.fromhex("06072a8648ce3d020106052b81040006"))
    read = parse_certificate(with_key(der.wrapped(der.SEQUENCE, algorithm + der.wrapped(der.BIT_STRING, b"\x00\x04"))))
    assert (read.algorithm, read.key_bits) == ("ecdsa", 0)
    assert "cannot be read" in read.key_flaw
    assert read.names


def with_key(spki: bytes) -> bytes:
    tbs, *rest = der.parts_of(der.only(SAMPLE, der.SEQUENCE))
    fields = [part.whole for part in der.parts_of(tbs.content)]
    old = der.fields_of(tbs.whole).subject_public_key_info.whole
    body = der.wrapped(der.SEQUENCE, b"".join(spki if field == old else field for field in fields))
    return der.wrapped(der.SEQUENCE, body + b"".join(part.whole for part in rest))
