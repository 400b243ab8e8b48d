"""Chains with faults of every sort, drawn from a seed: what is served, which roots are named, and what was done.

Longer than 300 lines because each fault is a paragraph of its own, and one list names them all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from domain.paths import Path
from formats import der

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Recipe:
    """One certificate to be made.  ``aki``: of its issuer's key; "other" names another, "" leaves it out.

    ``asks``: an authorityKeyIdentifier instead of that; ``serial``: 0 for one by chance.
    """

    name: str
    key: Key
    begins: datetime = NOW - 400 * DAY
    ends: datetime = NOW + 300 * DAY
    is_ca: bool | None = True
    path_length: int | None = None
    may_sign: bool | None = True
    permitted: tuple[x509.GeneralName, ...] = ()
    excluded: tuple[x509.GeneralName, ...] = ()
    names: tuple[x509.GeneralName, ...] = ()
    hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    aki: str = "good"
    is_strange: bool = False
    spelling: Callable[[str], str] = str
    odd: tuple[str, bytes] | None = None
    doubled: bytes = b""
    mark: bytes = b""
    asks: x509.AuthorityKeyIdentifier | None = None
    serial: int = 0

    def signed(self, issuer: "Recipe") -> bytes:
        """DER."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(self.name))
            .issuer_name(_name(self.spelling(issuer.name)))
            .public_key(self.key.public_key())
            .serial_number(self.serial or x509.random_serial_number())
            .not_valid_before(self.begins)
            .not_valid_after(self.ends)
        )
        for value, critical in self._extensions(issuer):
            builder = builder.add_extension(value, critical)
        made = builder.sign(issuer.key, hashes.SHA256())
        if isinstance(self.hash, hashes.SHA1) or self.doubled or self.mark:
            return self._signed_again(made, issuer.key)
        return made.public_bytes(Encoding.DER)

    def _signed_again(self, made: x509.Certificate, key: Key) -> bytes:
        """``made`` as no library of today makes it: signed with SHA-1, with an extension twice or odd marks."""
        algorithm = _ALGORITHMS[self.hash.name, isinstance(key, rsa.RSAPrivateKey)]
        version, serial, _, *rest, listed = der.parts_of(der.only(made.tbs_certificate_bytes, der.SEQUENCE))
        extensions = [self._marked(part) for part in der.parts_of(der.only(listed.content, der.SEQUENCE))]
        extensions += [one for one in extensions if self.doubled and self.doubled in one[:9]]
        head = version.whole + serial.whole + algorithm + b"".join(part.whole for part in rest)
        listing = der.wrapped(der.EXTENSIONS, der.wrapped(der.SEQUENCE, b"".join(extensions)))
        tbs = der.wrapped(der.SEQUENCE, head + listing)
        if isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(tbs, padding.PKCS1v15(), self.hash)
        else:
            signature = key.sign(tbs, ec.ECDSA(self.hash))
        return der.wrapped(der.SEQUENCE, tbs + algorithm + der.wrapped(der.BIT_STRING, b"\x00" + signature))

    def _marked(self, part: der.Part) -> bytes:
        """FALSE is written out where it was left out, BER's TRUE where DER's was, and DER's everywhere."""
        key, *mark, value = der.parts_of(part.content)
        if not self.mark or (self.mark[-1] != 0xFF and bool(mark) is not bool(self.mark[-1])):
            return part.whole
        return der.wrapped(der.SEQUENCE, key.whole + self.mark + value.whole)

    def _extensions(self, issuer: "Recipe") -> Sequence[tuple[x509.ExtensionType, bool]]:
        found: list[tuple[x509.ExtensionType, bool]] = []
        if self.is_ca is not None:
            found.append((x509.BasicConstraints(self.is_ca, self.path_length if self.is_ca else None), True))
        if self.may_sign is not None:
            found.append((_usage(self.may_sign), True))
        if self.permitted or self.excluded:
            found.append((x509.NameConstraints(self.permitted or None, self.excluded or None), True))
        if self.names:
            found.append((x509.SubjectAlternativeName(self.names), False))
        if self.aki:
            asked = issuer.key if self.aki == "good" else ec.generate_private_key(ec.SECP256R1())
            found.append((x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False))
            found.append((self.asks or x509.AuthorityKeyIdentifier.from_issuer_public_key(asked.public_key()), False))
        if self.is_strange:
            odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
            found.append((odd, True))
        if self.odd is not None:
            oid = x509.ObjectIdentifier(self.odd[0])
            found = [one for one in found if one[0].oid != oid]
            found.append((x509.UnrecognizedExtension(oid, self.odd[1]), False))
        return found


@dataclass(frozen=True)
class Case:
    """``chain`` and ``roots``: DER.  ``faults``: what was done, in words."""

    chain: tuple[bytes, ...]
    roots: tuple[bytes, ...]
    faults: tuple[str, ...]


class Forge:
    """Makes cases; its keys are made once, because RSA takes long."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._curves = [ec.generate_private_key(ec.SECP256R1()) for _ in range(8)]
        self._rsa = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
        self._weak: list[Key] = [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP192R1())]

    def case(self) -> Case:
        """One chain of up to three intermediates, with up to two faults, served in some order."""
        height = self._random.choice((0, 1, 1, 2, 2, 3))
        keys: list[Key] = self._random.sample([*self._curves, *self._rsa], height + 2)
        names = (x509.DNSName("www.shop.example"), x509.DNSName("*.shop.example"))
        row = [Recipe("leaf", keys[0], ends=NOW + 90 * DAY, is_ca=False, may_sign=None, names=names)]
        row += [Recipe(f"CA {place}", key) for place, key in enumerate(keys[1:], 1)]
        draft = _Draft(row, self._random, self._weak, self._spare(keys))
        count = self._random.choice((0, 1, 1, 1, 2))
        for fault in self._random.sample(FAULTS, count):
            fault(draft)
        return draft.case()

    def _spare(self, used: Sequence[Key]) -> Key:
        return next(key for key in self._curves if key not in used)


class _Draft:
    """``row``: leaf, intermediates, root; each is issued by the next."""

    def __init__(self, row: list[Recipe], random: Random, weak: Sequence[Key], spare: Key) -> None:
        self.row, self.random, self.weak, self.spare = row, random, weak, spare
        self.extras: list[Callable[[], bytes]] = []
        self.left_out: set[int] = set()
        self.tampered: set[int] = set()
        self.is_root_served = random.random() < 0.3
        self.named = "root"
        self.faults: list[str] = []

    def change(self, place: int, told: str, **fields: object) -> None:
        self.row[place] = replace(self.row[place], **fields)  # type: ignore[arg-type]  # each fault names its own fields
        self.faults.append(f"{told} at {place} of {len(self.row) - 1}")

    def anywhere(self) -> int:
        return self.random.randrange(len(self.row))

    def above(self) -> int:
        return self.random.randrange(1, len(self.row))

    def case(self) -> Case:
        made = [one.signed(above) for one, above in zip(self.row, [*self.row[1:], self.row[-1]], strict=True)]
        made = [_damaged(one) if place in self.tampered else one for place, one in enumerate(made)]
        served = [one for place, one in enumerate(made[1:-1], 1) if place not in self.left_out]
        served += [made[-1]] if self.is_root_served else []
        served += [make() for make in self.extras]
        if self.random.random() < 0.5:
            self.random.shuffle(served)
        if served and self.random.random() < 0.2:
            served.append(self.random.choice(served))
        roots = {"root": made[-1:], "none of ours": [self._stranger()], "first CA": made[1:2]}[self.named]
        return Case((made[0], *served), tuple(roots), tuple(self.faults) or ("none",))

    def _stranger(self) -> bytes:
        own = Recipe("another root", self.spare)
        return own.signed(own)


def is_accepted(path: Path) -> bool:
    """What `openssl verify` would say of leaf and chain together, its root given."""
    return not path.flaw and not path.own_flaw


def _expired(draft: _Draft) -> None:
    draft.change(draft.anywhere(), "expired", begins=NOW - 400 * DAY, ends=NOW - draft.random.choice((1, 20)) * DAY)


def _future(draft: _Draft) -> None:
    draft.change(draft.anywhere(), "not yet valid", begins=NOW + 3 * DAY, ends=NOW + 90 * DAY)


def _edge(draft: _Draft) -> None:
    draft.change(draft.anywhere(), "ends now", begins=NOW - 400 * DAY, ends=NOW)


def _path_length(draft: _Draft) -> None:
    draft.change(draft.above(), "path length", path_length=draft.random.choice((0, 0, 1)))


def _self_issued(draft: _Draft) -> None:
    """A CA that certified a new key of its own does not count for the path length (RFC 5280 6.1.4 (l))."""
    if len(draft.row) < 3:
        return
    draft.change(1, "self-issued", name=draft.row[2].name)
    draft.change(draft.random.randrange(2, len(draft.row)), "path length", path_length=0)


def _permitted(draft: _Draft) -> None:
    trees = ("shop.example", ".example", "other.example", "www.shop.example", "SHOP.example")
    draft.change(draft.above(), "permitted", permitted=(x509.DNSName(draft.random.choice(trees)),))


def _excluded(draft: _Draft) -> None:
    trees = ("shop.example", "other.example", "www.shop.example", "a.shop.example")
    draft.change(draft.above(), "excluded", excluded=(x509.DNSName(draft.random.choice(trees)),))


def _addresses(draft: _Draft) -> None:
    address = x509.IPAddress(ip_address("10.1.2.3"))
    draft.change(0, "an address", names=(*draft.row[0].names, address))
    nets = ("10.1.0.0/16", "10.2.0.0/16", "2001:db8::/32")
    tree = (x509.IPAddress(ip_network(draft.random.choice(nets))),)
    kind = draft.random.choice(("permitted", "excluded"))
    draft.change(draft.above(), f"{kind} network", **{kind: tree})


def _mails(draft: _Draft) -> None:
    draft.change(0, "a mailbox", names=(*draft.row[0].names, x509.RFC822Name("A@mail.example")))
    tree = draft.random.choice(("mail.example", ".example", "a@mail.example", "A@mail.example", "example"))
    kind = draft.random.choice(("permitted", "excluded"))
    draft.change(draft.above(), f"{kind} mail {tree}", **{kind: (x509.RFC822Name(tree),)})


def _directory(draft: _Draft) -> None:
    organisation = draft.random.choice(("everleaf  test", "Another"))
    name = x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organisation)]))
    kind = draft.random.choice(("permitted", "excluded"))
    draft.change(draft.above(), f"{kind} directory {organisation}", **{kind: (name,)})


def _uris(draft: _Draft) -> None:
    uri = x509.UniformResourceIdentifier("https://api.shop.example/x")
    draft.change(0, "a URI", names=(*draft.row[0].names, uri))
    tree = draft.random.choice(("api.shop.example", ".shop.example", "shop.example"))
    kind = draft.random.choice(("permitted", "excluded"))
    draft.change(draft.above(), f"{kind} URI {tree}", **{kind: (x509.UniformResourceIdentifier(tree),)})


def _common_name(draft: _Draft) -> None:
    """Without a SAN, a constraint on DNS names holds for the common name."""
    draft.change(0, "a common name alone", name="www.shop.example", names=())
    tree = draft.random.choice(("shop.example", "other.example"))
    draft.change(draft.above(), f"permitted {tree}", permitted=(x509.DNSName(tree),))


def _no_ca(draft: _Draft) -> None:
    draft.change(draft.above(), "no CA", is_ca=draft.random.choice((False, None)))


def _no_signing(draft: _Draft) -> None:
    draft.change(draft.above(), "keyUsage without keyCertSign", may_sign=False)


def _no_usage(draft: _Draft) -> None:
    draft.change(draft.above(), "no keyUsage", may_sign=None)


def _weak_hash(draft: _Draft) -> None:
    """Also at the root, whose own signature nobody checks."""
    draft.change(draft.anywhere(), "SHA-1", hash=hashes.SHA1())


def _weak_key(draft: _Draft) -> None:
    draft.change(draft.anywhere(), "a weak key", key=draft.random.choice(draft.weak))


def _other_key(draft: _Draft) -> None:
    """Served is a CA of the right name and another key, beside the right one or instead of it."""
    place = draft.above()
    aki = draft.random.choice(("good", ""))
    if not aki:
        draft.row[:] = [replace(one, aki="") for one in draft.row]
    twin = replace(draft.row[place], key=draft.spare)
    above = draft.row[min(place + 1, len(draft.row) - 1)] if place < len(draft.row) - 1 else twin
    draft.extras.append(lambda: twin.signed(above))
    draft.faults.append(f"another key of the same name at {place}, identifiers {aki or 'left out'}")
    if draft.random.random() < 0.5:
        draft.left_out.add(place)


def _missing(draft: _Draft) -> None:
    draft.left_out.add(draft.above())
    draft.faults.append(f"{sorted(draft.left_out)} not served")


def _tampered(draft: _Draft) -> None:
    draft.tampered.add(draft.anywhere())
    draft.faults.append(f"tampered with {sorted(draft.tampered)}")


def _strange(draft: _Draft) -> None:
    draft.change(draft.anywhere(), "unknown critical extension", is_strange=True)


def _identifier(draft: _Draft) -> None:
    draft.change(draft.random.randrange(len(draft.row) - 1), "key identifier of another", aki="other")


def _asked_issuer(draft: _Draft) -> None:
    """By the name and serial of its issuer, as old CAs do; the name is that of the issuer's issuer."""
    place = draft.random.randrange(len(draft.row) - 1)
    upper, top = draft.row[place + 1], draft.row[min(place + 2, len(draft.row) - 1)]
    draft.row[place + 1] = replace(upper, serial=4711)
    names = draft.random.choice(((top.name,), ("another",), ("another", top.name), (top.name, "another"), ()))
    general = [x509.DNSName("a.example"), *(x509.DirectoryName(_name(one)) for one in names)]
    serial = draft.random.choice((4711, 4711, 4712))
    draft.change(place, f"asks for {names} {serial}", asks=x509.AuthorityKeyIdentifier(None, general, serial))


def _rollover(draft: _Draft) -> None:
    """The highest CA is the root's new key, of another kind or of the same, without identifiers."""
    if len(draft.row) < 3:
        return
    draft.row[:] = [replace(one, aki="") for one in draft.row]
    draft.change(len(draft.row) - 2, "a rollover", name=draft.row[-1].name)


def _no_identifiers(draft: _Draft) -> None:
    draft.row[:] = [replace(one, aki="") for one in draft.row]
    draft.faults.append("no key identifiers")


def _spelling(draft: _Draft) -> None:
    draft.change(draft.anywhere(), "issuer in capitals", spelling=lambda name: f"  {name.upper().replace(' ', '   ')}")


def _cross(draft: _Draft) -> None:
    """A cross-certificate of the root by an ancient one, as they were served for years after it had ended."""
    ancient = Recipe("ancient root", draft.spare)
    ends = NOW + draft.random.choice((-60, 200)) * DAY
    cross = replace(draft.row[-1], begins=NOW - 400 * DAY, ends=ends)
    draft.extras.append(lambda: cross.signed(ancient))
    draft.faults.append("a cross-certificate of the root")


def _twin(draft: _Draft) -> None:
    """Two certificates of one CA key, of which one has ended, is weak or says that it is no CA."""
    place = draft.above()
    one = replace(draft.row[place], begins=NOW - 400 * DAY)
    ended, ending = replace(one, ends=NOW - 10 * DAY), replace(one, ends=NOW + 20 * DAY)
    twin = draft.random.choice((ended, ending, replace(one, hash=hashes.SHA1()), replace(one, is_ca=False)))
    above = draft.row[min(place + 1, len(draft.row) - 1)]
    draft.extras.append(lambda: twin.signed(above))
    draft.faults.append(f"a twin of one key at {place}")


def _extra(draft: _Draft) -> None:
    own = Recipe("something else", draft.spare)
    draft.extras.append(lambda: own.signed(own))
    draft.faults.append("something that does not belong to it")


def _strangers_root(draft: _Draft) -> None:
    draft.named, draft.is_root_served = "none of ours", draft.random.random() < 0.5
    draft.faults.append("a root that nobody named")


def _named_intermediate(draft: _Draft) -> None:
    draft.named = "first CA"
    draft.faults.append("the policy names the first CA as a root")


# What no decoder, or not every one, takes: cut short, empty, BER, of another type.
ODD = {
    "basicConstraints cut short": ("2.5.29.19", b"\x30\x03\x01"),
    "basicConstraints with a BER boolean": ("2.5.29.19", b"\x30\x03\x01\x01\x01"),
    "basicConstraints of another type": ("2.5.29.19", b"\x05\x00"),
    "basicConstraints with a negative length": ("2.5.29.19", b"\x30\x06\x01\x01\xff\x02\x01\xff"),
    "keyUsage cut short": ("2.5.29.15", b"\x03\x05\x00"),
    "keyUsage empty": ("2.5.29.15", b"\x03\x01\x00"),
    "extKeyUsage empty": ("2.5.29.37", b"\x30\x00"),
    "extKeyUsage cut short": ("2.5.29.37", b"\x30\x05\x06"),
    "nameConstraints empty": ("2.5.29.30", b"\x30\x00"),
    "nameConstraints cut short": ("2.5.29.30", b"\x30\x05\xa0"),
    "subjectKeyIdentifier of another type": ("2.5.29.14", b"\x05\x00"),
    "authorityKeyIdentifier cut short": ("2.5.29.35", b"\x30\x05\x80"),
    "authorityKeyIdentifier with a serial alone": ("2.5.29.35", b"\x30\x03\x82\x01\x05"),
    "authorityKeyIdentifier of another without its issuer": ("2.5.29.35", b"\x30\x06\x80\x01\x07\x82\x01\x05"),
    "subjectAltName empty": ("2.5.29.17", b"\x30\x00"),
    "subjectAltName cut short": ("2.5.29.17", b"\x30\x05\x82"),
    "certificatePolicies cut short": ("2.5.29.32", b"\x30\x05\x30"),
    "cRLDistributionPoints cut short": ("2.5.29.31", b"\x30\x05\x30"),
    "authorityInfoAccess cut short": ("1.3.6.1.5.5.7.1.1", b"\x30\x05\x30"),
}


def _odd(draft: _Draft) -> None:
    told = draft.random.choice(sorted(ODD))
    draft.change(draft.anywhere(), told, odd=ODD[told])


def _doubled(draft: _Draft) -> None:
    last = draft.random.choice((0x0E, 0x0F, 0x11, 0x13, 0x23))
    draft.change(draft.anywhere(), f"2.5.29.{last} twice", doubled=bytes((6, 3, 0x55, 0x1D, last)))


def _all_critical(draft: _Draft) -> None:
    """Key identifiers as well, which no CA may mark so."""
    draft.change(draft.anywhere(), "all critical", mark=b"\x01\x01\xff")


def _marks(draft: _Draft) -> None:
    """Each critical mark FALSE and written out, or TRUE in BER."""
    mark = draft.random.choice((b"\x01\x01\x00", b"\x01\x01\x01"))
    draft.change(draft.anywhere(), f"marks of {mark.hex()}", mark=mark)


FAULTS: tuple[Callable[[_Draft], None], ...] = (
    _expired,
    _future,
    _edge,
    _path_length,
    _self_issued,
    _permitted,
    _excluded,
    _addresses,
    _mails,
    _directory,
    _uris,
    _common_name,
    _no_ca,
    _no_signing,
    _no_usage,
    _weak_hash,
    _weak_key,
    _other_key,
    _missing,
    _tampered,
    _strange,
    _identifier,
    _asked_issuer,
    _rollover,
    _no_identifiers,
    _spelling,
    _cross,
    _twin,
    _extra,
    _strangers_root,
    _named_intermediate,
    _odd,
    _odd,
    _doubled,
    _marks,
    _all_critical,
)


def _usage(may_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, may_sign, True, False, False)


def _name(text: str) -> x509.Name:
    organisation = x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Everleaf Test")
    return x509.Name([organisation, x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _damaged(one: bytes) -> bytes:
    """Its last byte is of the signature."""
    return one[:-1] + bytes((one[-1] ^ 1,))


# AlgorithmIdentifiers of RFC 3279 2.2 and RFC 5758 3.2, by hash and kind of key.
_ALGORITHMS = {
    ("sha1", True): bytes.fromhex("300d06092a864886f70d0101050500"),
    ("sha1", False): bytes.fromhex("300906072a8648ce3d0401"),
    ("sha256", True): bytes.fromhex("300d06092a864886f70d01010b0500"),
    ("sha256", False): bytes.fromhex("300a06082a8648ce3d040302"),
}
