"""What a person brings for an order, in whatever order of its blocks: judged whole, and by who made it."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku
from cryptography.x509.oid import NameOID

from domain.certificate import TrustClass
from domain.contracts import Plan
from domain.errors import BadInput
from domain.tiers import Issuer
from formats.paths import PathBuilder
from formats.upload import Judge, Judged, judged
from formats.x509 import pem_of
from tests.formats.chains import DAY, NOW

SHOP = "shop.example"
PLAN = Plan(
    issuer="supplier",
    issuer_kind="manual",
    trust_class=TrustClass.PRIVATE,
    profile="server",
    validity_seconds=90 * 86_400,
    names=(SHOP,),
    algorithm="ecdsa",
    key_bits=256,
    targets=("shop",),
)
KEY = ec.generate_private_key(ec.SECP256R1())


class CA:
    """Its certificate by ``upper``, or by itself.  ``is_ca``: what its basicConstraints say; None: it has none."""

    def __init__(
        self, name: str, upper: "CA | None" = None, *, is_ca: bool | None = True, days: int = 3650, key: object = None
    ) -> None:
        self.key = key if isinstance(key, ec.EllipticCurvePrivateKey) else ec.generate_private_key(ec.SECP256R1())
        self.name = named(name)
        above = upper or self
        limits: list[tuple[x509.ExtensionType, bool]] = (
            [] if is_ca is None else [(x509.BasicConstraints(is_ca, None), True)]
        )
        self.der = above.sign(self.name, self.key, NOW - 400 * DAY, NOW + days * DAY, limits)

    @property
    def pem(self) -> str:
        return pem_of([self.der]).decode()

    def sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        begins: object,
        ends: object,
        extensions: list[tuple[x509.ExtensionType, bool]],
    ) -> bytes:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)  # type: ignore[arg-type]  # instants
        for one, critical in extensions:
            builder = builder.add_extension(one, critical)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def leaf(
        self,
        *names: str,
        days: float = 90,
        usages: tuple[x509.ObjectIdentifier, ...] = (Eku.SERVER_AUTH,),
        key: ec.EllipticCurvePrivateKey = KEY,
        more: tuple[x509.GeneralName, ...] = (),
    ) -> bytes:
        alternative = x509.SubjectAlternativeName([*map(x509.DNSName, names or (SHOP,)), *more])
        extensions: list[tuple[x509.ExtensionType, bool]] = [(alternative, False)]
        extensions += [(x509.ExtendedKeyUsage(usages), False)] if usages else []
        return self.sign(named(SHOP), key, NOW, NOW + timedelta(days=days), extensions)


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


CSR = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(named(SHOP))
    .add_extension(x509.SubjectAlternativeName([x509.DNSName(SHOP)]), False)
    .sign(KEY, hashes.SHA256())
    .public_bytes(Encoding.DER)
)
ROOT = CA("Supplier Root")
ISSUING = CA("Supplier Issuing", ROOT)
SUPPLIER = Issuer("supplier", "manual", TrustClass.PRIVATE, ("*CN=Supplier*",), roots=(ROOT.pem,))
JUDGE = Judge((SUPPLIER,), (ROOT.pem,), NOW)


def judge(*blocks: bytes, plan: Plan = PLAN, by: Judge = JUDGE) -> Judged:
    return judged(blocks, (CSR, plan), by)


def test_a_right_answer_is_right_in_every_order_of_its_blocks() -> None:
    leaf, stranger = ISSUING.leaf(), CA("Stranger").der
    for brought in ((leaf, ISSUING.der, ROOT.der), (leaf, ISSUING.der, stranger, ROOT.der), (leaf, leaf, ISSUING.der)):
        for order in itertools.permutations(brought):
            found = judge(*order)
            assert found.wrong == ()
            assert found.chain == (leaf, ISSUING.der)
    # A root that the policy names need not be brought; what stands between it and the leaf must be.
    assert "add the CA's certificate" in judge(leaf).wrong[-1]
    direct = ROOT.leaf()
    assert judge(direct) == Judged((direct,), ())


def test_of_two_answers_for_one_request_the_right_one_is_taken() -> None:
    wrong, right, longer = ISSUING.leaf("www.shop.example"), ISSUING.leaf(days=85), ISSUING.leaf(days=95)
    assert judge(wrong, ISSUING.der, right).chain == (right, ISSUING.der)
    assert judge(right, ISSUING.der, longer).chain == (longer, ISSUING.der)


def test_a_further_way_for_other_clients_is_kept_and_what_has_ended_is_not() -> None:
    old = CA("Ancient Root")
    crossed, ended = CA("Supplier Root", old, key=ROOT.key), CA("Supplier Root", old, key=ROOT.key, days=-1)
    leaf = ISSUING.leaf()
    found = judge(crossed.der, leaf, ended.der, ISSUING.der)
    assert (found.chain, found.wrong) == ((leaf, ISSUING.der, crossed.der), ())


@pytest.mark.parametrize("is_ca", [False, None])
def test_an_issuer_that_is_no_ca_by_its_own_words_is_refused(is_ca: bool | None) -> None:
    false = CA("Supplier Issuing", ROOT, is_ca=is_ca)
    wrong = judge(false.leaf(), false.der).wrong
    assert [one for one in wrong if "issuer is no CA" in one], wrong
    assert not PathBuilder().ways((false.leaf(), false.der)).at(NOW).is_good


def test_a_path_with_a_certificate_that_has_ended_is_refused() -> None:
    ended = CA("Supplier Issuing", ROOT, days=-3)
    assert any("expired" in one for one in judge(ended.leaf(), ended.der).wrong)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((SHOP, "www.shop.example"), "www.shop.example was not ordered"),
        (("www.shop.example",), "it lacks shop.example, and www.shop.example was not ordered"),
        ((SHOP, "a.example", "b.example"), "a.example, b.example were not ordered"),
        (
            (SHOP, *(f"n{n}.example" for n in range(9))),
            "n0.example, n1.example, n2.example and 6 more were not ordered",
        ),
    ],
)
def test_names_that_are_missing_or_too_many_are_named(names: tuple[str, ...], said: str) -> None:
    assert judge(ISSUING.leaf(*names), ISSUING.der).wrong == (f"its names are not the ordered ones: {said}",)


def test_a_common_name_alone_is_no_name_and_a_login_name_is_one_too_many() -> None:
    bare = ISSUING.sign(named(SHOP), KEY, NOW, NOW + 90 * DAY, [(x509.ExtendedKeyUsage([Eku.SERVER_AUTH]), False)])
    assert judge(bare, ISSUING.der).wrong == ("its names are not the ordered ones: it lacks shop.example",)
    upn = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x04root")
    (told,) = judge(ISSUING.leaf(more=(upn,)), ISSUING.der).wrong
    assert "which no order asks for" in told


@pytest.mark.parametrize(
    ("usages", "said"),
    [
        ((Eku.SERVER_AUTH, Eku.CLIENT_AUTH), "clientAuth was not ordered"),
        ((Eku.CLIENT_AUTH,), "it lacks serverAuth, and clientAuth was not ordered"),
        ((Eku.SERVER_AUTH, Eku.CODE_SIGNING), "codeSigning was not ordered"),
        ((), "anyExtendedKeyUsage was not ordered"),
        ((Eku.ANY_EXTENDED_KEY_USAGE,), "it lacks serverAuth, and anyExtendedKeyUsage was not ordered"),
    ],
)
def test_the_usages_are_exactly_the_ordered_ones(usages: tuple[x509.ObjectIdentifier, ...], said: str) -> None:
    wrong = judge(ISSUING.leaf(usages=usages), ISSUING.der).wrong
    assert wrong == (f"its usages are not the ordered ones: {said}",)


def test_it_lives_at_most_a_tenth_longer_than_ordered() -> None:
    assert judge(ISSUING.leaf(days=99), ISSUING.der).wrong == ()
    (told,) = judge(ISSUING.leaf(days=99.1), ISSUING.der).wrong
    assert "longer than ordered: 99 days" in told
    (told,) = judge(ISSUING.leaf(days=3650), ISSUING.der).wrong
    assert "longer than ordered" in told


# --- from whom ------------------------------------------------------------------------------------------------------


STRANGER = CA("Supplier Issuing")
STRANGE = "it does not come from supplier"


def told_a_stranger(found: Judged) -> bool:
    return any(STRANGE in one for one in found.wrong)


def test_another_ca_that_calls_itself_like_the_issuer_is_a_stranger() -> None:
    found = judge(STRANGER.leaf(), STRANGER.der)
    assert told_a_stranger(found)
    assert "roots of issuer supplier" in found.wrong[0]
    # Also where the policy knows it, for another purpose.
    elsewhere = replace(JUDGE, roots=(ROOT.pem, STRANGER.pem))
    assert told_a_stranger(judge(STRANGER.leaf(), by=elsewhere))


def test_a_way_through_what_is_no_ca_does_not_prove_its_issuer() -> None:
    """A server of the supplier's own uses its leaf key as a CA, which another root of the policy vouches for."""
    server = CA("Supplier Server", ROOT, is_ca=False)
    other = CA("Other Root")
    vouched = CA("Supplier Server", other, key=server.key)
    known = replace(JUDGE, roots=(ROOT.pem, other.pem))
    found = judge(server.leaf(), server.der, vouched.der, by=known)
    assert told_a_stranger(found)


def test_an_issuer_without_roots_of_its_own_comes_from_any_root_of_the_policy_by_its_name() -> None:
    plain = replace(SUPPLIER, roots=())
    assert judge(ISSUING.leaf(), ISSUING.der, by=Judge((plain,), (ROOT.pem,), NOW)).wrong == ()
    assert told_a_stranger(judge(ISSUING.leaf(), ISSUING.der, ROOT.der, by=Judge((plain,), (), NOW)))
    nameless = replace(plain, recognise=())
    assert told_a_stranger(judge(ISSUING.leaf(), ISSUING.der, by=Judge((nameless,), (ROOT.pem,), NOW)))


def test_the_ca_of_the_present_certificate_is_known_by_its_key() -> None:
    plain = replace(SUPPLIER, roots=())
    present = Judge((plain,), (), NOW, present=ISSUING.leaf(key=ec.generate_private_key(ec.SECP256R1())))
    assert judge(ISSUING.leaf(), ISSUING.der, ROOT.der, by=present).wrong == ()
    assert told_a_stranger(judge(STRANGER.leaf(), STRANGER.der, by=present))
    # The present one came from somebody else: then its key says nothing of this issuer.
    elsewhere = Issuer("other", "private-ca", TrustClass.PRIVATE, ("*CN=Supplier Issuing*",))
    moved = replace(present, issuers=(elsewhere, plain))
    assert told_a_stranger(judge(ISSUING.leaf(), ISSUING.der, ROOT.der, by=moved))


def test_an_issuer_that_left_the_policy_answers_nothing() -> None:
    (told,) = judge(ISSUING.leaf(), ISSUING.der, by=Judge((), (ROOT.pem,), NOW)).wrong
    assert "has no issuer supplier any more" in told


def test_what_its_root_proves_has_the_trust_class_of_its_issuer() -> None:
    """A public CA leaves out timestamps where nobody asks for them, and its name is one that no glob foresaw."""
    public = replace(SUPPLIER, trust_class=TrustClass.PUBLIC, recognise=())
    plan = replace(PLAN, trust_class=TrustClass.PUBLIC)
    assert judge(ISSUING.leaf(), ISSUING.der, plan=plan, by=replace(JUDGE, issuers=(public,))).wrong == ()


def test_all_objections_are_told_at_once() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    wrong = judge(STRANGER.leaf("evil.example", days=3650, usages=(Eku.CLIENT_AUTH,), key=other)).wrong
    words = ("another key", "lacks shop.example", "lacks serverAuth", STRANGE, "longer than ordered")
    assert all(any(word in one for one in wrong) for word in words), wrong


def test_what_cannot_be_judged_at_all_says_so() -> None:
    with pytest.raises(BadInput, match="is empty"):
        judge()
    with pytest.raises(BadInput):
        judge(b"\x30\x00")
    # CAs alone: their faults are told, whichever of them is meant.
    assert "another key" in judge(ROOT.der, ISSUING.der).wrong[0]
