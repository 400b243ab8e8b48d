"""Names of a certificate that no order of ours can give: URIs, directory names, and what else its SAN may hold."""

from collections.abc import Iterable

from cryptography import x509

# One is enough to say that they would be lost, some more to tell two certificates apart; strangers write them.
MOST = 20
LONGEST = 200


def other_names(sans: Iterable[x509.SubjectAlternativeName]) -> tuple[str, ...]:
    """What ``sans`` hold beside DNS names, addresses and mail addresses, each with its kind; sorted, at most 20.

    Raises what ``cryptography`` raises for a name that it cannot read.
    """
    plain = x509.DNSName | x509.IPAddress | x509.RFC822Name
    others = [name for san in sans for name in san if not isinstance(name, plain)]
    return tuple(sorted({_with_kind(name)[:LONGEST] for name in others}))[:MOST]


def _with_kind(name: x509.GeneralName) -> str:
    if isinstance(name, x509.UniformResourceIdentifier):
        return f"URI:{name.value}"
    if isinstance(name, x509.OtherName):
        return f"otherName:{name.type_id.dotted_string}"
    if isinstance(name, x509.DirectoryName):
        return f"directoryName:{name.value.rfc4514_string()}"
    return f"registeredID:{name.value.dotted_string}" if isinstance(name, x509.RegisteredID) else "unknown"
