"""Name constraints of a CA held against the names below it (RFC 5280 4.2.1.10), as OpenSSL does."""

from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from formats.extensions import UNREADABLE
from formats.links import Link, printable

# Hostile certificates may ask for more comparisons than a look has time for: OpenSSL stops at a bound as well.  For one
# certificate below any number of constraints, so that many CAs cost no more than one.
MOST_COMPARISONS = 1 << 17


# A name as it is compared: its kind, and its value as `cryptography` gives it.  Made by hand where it comes out of a
# subject, for a stranger's mail address need not be one.
Named = tuple[type[x509.GeneralName], Any]


def violation(upper: Link, lower: Link, *, is_leaf: bool) -> str:
    """Which name of ``lower`` the constraints of ``upper`` do not allow, in words; empty where they allow all.

    The subject counts as a directory name, and a mail address in it as one; the common name of a leaf counts as a
    DNS name where it has no other and the common name could be one, for old clients read it so.
    Compared once for each pair: many ways may lead through both.
    """
    pair = (upper.der, is_leaf)
    if pair not in lower.violations:
        lower.violations[pair] = _compared(upper, lower, is_leaf)
    return lower.violations[pair]


def _compared(upper: Link, lower: Link, is_leaf: bool) -> str:
    for constraints in upper.extensions.all(x509.NameConstraints):
        permitted, excluded = constraints.permitted_subtrees or (), constraints.excluded_subtrees or ()
        names = list(_names(lower, is_leaf))
        lower.comparisons += len(names) * (len(permitted) + len(excluded))
        if lower.comparisons > MOST_COMPARISONS:
            return "more names and subtrees than can be compared"
        for name in names:
            found = _refused(name, permitted, excluded)
            if found:
                return found
    return ""


def _refused(name: Named, permitted: Sequence[x509.GeneralName], excluded: Sequence[x509.GeneralName]) -> str:
    kind, value = name
    allowed = [tree.value for tree in permitted if type(tree) is kind]
    barred = [tree.value for tree in excluded if type(tree) is kind]
    if not allowed and not barred:
        return ""
    is_within = _COMPARED.get(kind)
    if is_within is None:
        return f"a subtree of a kind that is not compared ({kind.__name__})"
    if allowed and not any(is_within(value, tree) for tree in allowed):
        return f"{_shown(value)} is in no permitted subtree"
    if any(is_within(value, tree) for tree in barred):
        return f"{_shown(value)} is in an excluded subtree"
    return ""


def _is_below(name: str, tree: str) -> bool:
    """``tree`` itself or any number of labels before it; with a leading dot, at least one."""
    name, tree = name.lower(), tree.lower()
    if not tree or name == tree:
        return True
    return name.endswith(tree if tree.startswith(".") else f".{tree}")


def _is_in_network(address: Any, network: Any) -> bool:
    """A SAN may hold what is no address, and a constraint what is no network: then nothing is within."""
    if not isinstance(network, IPv4Network | IPv6Network) or not isinstance(address, IPv4Address | IPv6Address):
        return False
    return address.version == network.version and address in network


def _is_mail_of(mail: str, tree: str) -> bool:
    """One mailbox, its local part with its case; or every mailbox of a host, or of the hosts below ``.domain``."""
    local, _, host = mail.rpartition("@")
    if "@" in tree:
        asked, _, domain = tree.rpartition("@")
        return (local, host.lower()) == (asked, domain.lower())
    tree = tree.lower()
    return not tree or (host.lower().endswith(tree) if tree.startswith(".") else host.lower() == tree)


def _begins_with(name: x509.Name, tree: x509.Name) -> bool:
    wanted = list(tree.rdns)
    return [_canonical(rdn) for rdn in list(name.rdns)[: len(wanted)]] == [_canonical(rdn) for rdn in wanted]


def _is_host_of(uri: str, tree: str) -> bool:
    try:
        host = (urlsplit(uri).hostname or "").lower()
    except ValueError:
        return False
    tree = tree.lower()
    return bool(host) and (not tree or (host.endswith(tree) if tree.startswith(".") else host == tree))


_COMPARED: dict[type[x509.GeneralName], Callable[[Any, Any], bool]] = {
    x509.DNSName: _is_below,
    x509.IPAddress: _is_in_network,
    x509.RFC822Name: _is_mail_of,
    x509.DirectoryName: _begins_with,
    x509.UniformResourceIdentifier: _is_host_of,
}


def _names(lower: Link, is_leaf: bool) -> Iterator[Named]:
    alternative = [name for san in lower.extensions.all(x509.SubjectAlternativeName) for name in san]
    yield from ((type(name), name.value) for name in alternative)
    try:
        subject = lower.loaded.subject
    except UNREADABLE:
        return
    if subject.rdns:
        yield x509.DirectoryName, subject
    for mail in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        yield x509.RFC822Name, str(mail.value)
    if is_leaf and not any(isinstance(name, x509.DNSName) for name in alternative):
        for common in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
            if _looks_like_a_host(str(common.value)):
                yield x509.DNSName, str(common.value)


def _looks_like_a_host(text: str) -> bool:
    labels = text.split(".")
    return len(labels) > 1 and all(
        label and label.isascii() and label.replace("-", "").replace("_", "").isalnum() and label.strip("-") == label
        for label in labels
    )


def _canonical(rdn: x509.RelativeDistinguishedName) -> list[tuple[str, str]]:
    return sorted((one.oid.dotted_string, " ".join(str(one.value).lower().split())) for one in rdn)


def _shown(value: Any) -> str:
    text = value.rfc4514_string() if isinstance(value, x509.Name) else str(value)
    return printable(text, 80)
