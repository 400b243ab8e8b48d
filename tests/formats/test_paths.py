"""Which path a chain has, and what it says of E."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from domain.errors import BadInput
from domain.paths import Path, Reason, reason_of
from formats.links import Link
from formats.paths import PathBuilder
from formats.x509 import fingerprint_of, life_of
from tests.formats.chains import DAY, NOW, Key, Recipe, is_accepted

KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(5)]
ROOT = Recipe("root", KEYS[0], ends=NOW + 3000 * DAY)
CA = Recipe("CA", KEYS[1], ends=NOW + 1000 * DAY)
SERVER = Recipe("leaf", KEYS[2], ends=NOW + 90 * DAY, is_ca=False, names=(x509.DNSName("a.example"),))
OTHER = Recipe("another", KEYS[3], ends=NOW + 1000 * DAY)
LEAF, ISSUING, TOP = SERVER.signed(CA), CA.signed(ROOT), ROOT.signed(ROOT)
STRANGER = OTHER.signed(OTHER)


def path_of(*chain: bytes, roots: tuple[bytes, ...] = ()) -> Path:
    return PathBuilder(roots).ways(chain).at(NOW)


def days_left(path: Path) -> int:
    return (path.ends_at - NOW) // DAY


def test_an_expired_cross_certificate_of_a_root_that_the_policy_names_ends_nothing() -> None:
    cross = replace(ROOT, ends=NOW - 60 * DAY).signed(OTHER)
    path = path_of(LEAF, ISSUING, cross, roots=(TOP,))
    assert (is_accepted(path), path.rooted, days_left(path)) == (True, True, 90)
    assert path.superfluous == "CN=root,O=Everleaf Test, which has ended"
    # To a client that does not know the root, that certificate is the way, and it has ended.
    unknown = path_of(LEAF, ISSUING, cross)
    assert (reason_of(unknown.flaw), days_left(unknown)) == (Reason.EXPIRED, -60)
    assert is_accepted(path_of(LEAF, ISSUING, cross, TOP))


def test_of_two_intermediates_of_one_key_the_one_that_lasts_counts() -> None:
    ended, ending = (replace(CA, ends=NOW + days * DAY).signed(ROOT) for days in (-10, 30))
    for chain in ((LEAF, ended, ISSUING), (LEAF, ISSUING, ended)):
        assert is_accepted(path_of(*chain, roots=(TOP,)))
        assert days_left(path_of(*chain, roots=(TOP,))) == 90
    assert days_left(path_of(LEAF, ended, ending, roots=(TOP,))) == 30
    alone = path_of(LEAF, ended, roots=(TOP,))
    assert (reason_of(alone.flaw), days_left(alone)) == (Reason.EXPIRED, -10)


def test_where_no_path_is_good_the_earliest_end_counts() -> None:
    """An alarm may come early, never late."""
    ended, no_ca = replace(CA, ends=NOW - DAY).signed(ROOT), replace(CA, is_ca=False).signed(ROOT)
    path = path_of(LEAF, no_ca, ended, roots=(TOP,))
    assert not path.is_good
    assert days_left(path) == -1


def test_the_faults_of_a_leaf_are_its_own_and_no_fault_of_its_chain() -> None:
    ended = replace(SERVER, ends=NOW - DAY).signed(CA)
    later = replace(SERVER, begins=NOW + DAY).signed(CA)
    for leaf, reason in ((ended, Reason.EXPIRED), (later, Reason.NOT_YET_VALID)):
        path = path_of(leaf, ISSUING, TOP, roots=(TOP,))
        assert path.is_good and not is_accepted(path)
        assert reason_of(path.own_flaw) is reason


@pytest.mark.parametrize(
    ("moment", "flaw"),
    [
        (CA.ends - timedelta(seconds=1), ""),
        (CA.ends, Reason.EXPIRED),
        (CA.begins, ""),
        (CA.begins - timedelta(seconds=1), Reason.NOT_YET_VALID),
    ],
)
def test_dates_are_held_against_the_time_that_is_given(moment: datetime, flaw: str) -> None:
    told = PathBuilder((TOP,)).ways((LEAF, ISSUING)).at(moment)
    assert told.flaw.partition(":")[0] == flaw


def test_a_root_that_has_ended_is_refused_and_its_end_is_not_e() -> None:
    ending, ended = (replace(ROOT, ends=NOW + days * DAY).signed(ROOT) for days in (10, -1))
    assert days_left(path_of(LEAF, ISSUING, ending, roots=(ending,))) == 90
    path = path_of(LEAF, ISSUING, ended, roots=(ended,))
    assert (reason_of(path.flaw), days_left(path)) == (Reason.EXPIRED, 90)


def test_an_intermediate_that_is_named_as_a_root_ends_a_path_and_counts_for_e() -> None:
    named = replace(CA, ends=NOW + 40 * DAY).signed(ROOT)
    path = path_of(LEAF, roots=(named,))
    assert (is_accepted(path), path.rooted, days_left(path)) == (True, True, 40)


@pytest.mark.parametrize(
    ("chain", "roots", "reason"),
    [
        ((LEAF,), (), Reason.MISSING_ISSUER),
        ((LEAF,), (TOP,), Reason.MISSING_ISSUER),
        ((LEAF, TOP), (), Reason.MISSING_ISSUER),
        ((LEAF, STRANGER), (), Reason.MISSING_ISSUER),
        ((LEAF, b"damaged"), (), Reason.MISSING_ISSUER),
        ((LEAF, ISSUING), (), ""),
        ((LEAF, ISSUING, TOP), (), ""),
        ((LEAF, ISSUING), (STRANGER,), ""),
        ((LEAF,), (ISSUING,), ""),
        ((STRANGER,), (), ""),
    ],
)
def test_a_chain_is_whole_where_it_reaches_a_root_or_leaves_only_that_out(
    chain: tuple[bytes, ...], roots: tuple[bytes, ...], reason: str
) -> None:
    assert path_of(*chain, roots=roots).flaw.partition(":")[0] == reason


def test_a_server_that_sends_a_root_of_its_own_proves_nothing() -> None:
    twin = replace(ROOT, key=KEYS[4])
    twin_root = twin.signed(twin)
    for roots, is_strange, is_rooted in (
        ((), False, False),
        ((TOP,), False, True),
        ((twin_root,), True, False),
        ((twin_root, TOP), False, True),
    ):
        path = path_of(LEAF, ISSUING, TOP, roots=roots)
        assert (path.has_strange_root, path.rooted, is_accepted(path)) == (is_strange, is_rooted, True)
    own = path_of(STRANGER, roots=(TOP,))
    assert (own.has_strange_root, own.rooted, is_accepted(own)) == (False, False, True)


def test_another_order_is_good_and_is_told() -> None:
    assert not path_of(LEAF, ISSUING, TOP).is_out_of_order
    assert not path_of(LEAF, ISSUING).is_out_of_order
    for chain in ((LEAF, TOP, ISSUING), (LEAF, STRANGER, ISSUING), (LEAF, LEAF, ISSUING)):
        path = path_of(*chain, roots=(TOP,))
        assert (is_accepted(path), path.is_out_of_order) == (True, True)
    extra = path_of(LEAF, ISSUING, STRANGER, roots=(TOP,))
    assert (extra.is_out_of_order, extra.superfluous) == (
        False,
        "CN=another,O=Everleaf Test, which issued nothing of it",
    )


def test_a_second_way_for_clients_of_another_root_is_not_superfluous() -> None:
    cross = replace(ROOT, ends=NOW + 300 * DAY).signed(OTHER)
    assert path_of(LEAF, ISSUING, cross, roots=(TOP,)).superfluous == ""


def test_the_key_that_verifies_the_leaf_is_told_where_its_issuer_is_there() -> None:
    spki = Link(ISSUING).spki_sha256
    assert path_of(LEAF, ISSUING).issuer_spki == path_of(LEAF, roots=(ISSUING,)).issuer_spki == spki
    assert path_of(LEAF).issuer_spki == path_of(LEAF, TOP).issuer_spki == ""
    assert path_of(TOP).issuer_spki == Link(TOP).spki_sha256
    assert life_of(LEAF, (), path_of(LEAF, ISSUING)).issuer_spki == spki
    assert life_of(LEAF, (), path_of(LEAF)).fingerprint == fingerprint_of(LEAF)


RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("old", "new", "is_good"),
    [(RSA, KEYS[0], True), (KEYS[0], RSA, True), (KEYS[0], KEYS[4], False)],
)
def test_a_ca_that_moves_to_a_key_of_another_kind_breaks_no_path(old: Key, new: Key, is_good: bool) -> None:
    """Under one name and without identifiers; with a key of the same kind OpenSSL takes the link for a root."""
    before, after = replace(ROOT, key=old, aki=""), replace(ROOT, key=new, aki="")
    leaf = replace(SERVER, aki="").signed(after)
    path = path_of(leaf, after.signed(before), roots=(before.signed(before),))
    assert path.flaw.partition(":")[0] == ("" if is_good else Reason.KEY_IDENTIFIER)


@pytest.mark.parametrize(
    ("names", "serial", "is_good"),
    [
        (("root",), 4711, True),
        (("ROOT",), 4711, True),
        (("root",), 4712, False),
        (("CA",), 4711, False),
        (("CA", "root"), 4711, False),
        (("root", "CA"), 4711, True),
        ((), 4711, True),
    ],
)
def test_an_issuer_that_is_asked_for_by_its_issuer_and_serial_is_that_one(
    names: tuple[str, ...], serial: int, is_good: bool
) -> None:
    organisation = x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Everleaf Test")
    common = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in names]
    asked = [x509.DNSName("a.example"), *(x509.DirectoryName(x509.Name([organisation, one])) for one in common)]
    leaf = replace(SERVER, asks=x509.AuthorityKeyIdentifier(None, asked, serial)).signed(CA)
    path = path_of(leaf, replace(CA, serial=4711).signed(ROOT), roots=(TOP,))
    assert path.flaw.partition(":")[0] == ("" if is_good else Reason.KEY_IDENTIFIER)


@pytest.mark.parametrize(
    ("value", "serial", "is_good"),
    [
        (b"\x30\x03\x82\x01\x05", 5, True),
        (b"\x30\x03\x82\x01\x05", 6, False),
        (b"\x30\x06\x80\x01\x07\x82\x01\x05", 5, False),
        (b"\x30\x04\x82\x02\x00\x85", 0x85, True),
    ],
)
def test_a_serial_without_its_issuer_is_compared_all_the_same(value: bytes, serial: int, is_good: bool) -> None:
    leaf = replace(SERVER, odd=("2.5.29.35", value)).signed(CA)
    path = path_of(leaf, replace(CA, serial=serial).signed(ROOT), roots=(TOP,))
    assert path.flaw.partition(":")[0] == ("" if is_good else Reason.KEY_IDENTIFIER)


def test_names_are_compared_as_openssl_compares_them() -> None:
    spelt = replace(SERVER, spelling=lambda name: f" {name.lower()} ").signed(CA)
    assert is_accepted(path_of(spelt, ISSUING, roots=(TOP,)))


@pytest.mark.parametrize("mark", [b"\x01\x01\x00", b"\x01\x01\x01"])
def test_critical_marks_that_are_not_der_break_no_path(mark: bytes) -> None:
    leaf, issuing = replace(SERVER, mark=mark).signed(CA), replace(CA, mark=mark).signed(ROOT)
    assert is_accepted(path_of(leaf, issuing, roots=(TOP,)))
    # The signature is over the bytes as they stand, odd as they are.
    other = replace(SERVER, mark=mark).signed(replace(CA, key=KEYS[4]))
    assert not is_accepted(path_of(other, issuing, roots=(TOP,)))


def test_a_key_identifier_that_is_critical_is_refused_as_openssl_refuses_it() -> None:
    path = path_of(LEAF, replace(CA, mark=b"\x01\x01\xff").signed(ROOT), roots=(TOP,))
    assert path.flaw == "unhandled critical extension: CN=CA,O=Everleaf Test: subjectKeyIdentifier"


def test_a_chain_without_a_readable_leaf_is_refused() -> None:
    for chain in ((), (b"damaged", ISSUING)):
        with pytest.raises(BadInput):
            path_of(*chain)
