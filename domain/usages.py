"""Extended key usages: their OIDs, and how people call them."""

# RFC 5280 4.2.1.12.  The first is as good as no extension at all.
ANY_USE = "2.5.29.37.0"
USAGE_OIDS = {"server": "1.3.6.1.5.5.7.3.1", "client": "1.3.6.1.5.5.7.3.2"}
_USAGE_WORDS = {
    USAGE_OIDS["server"]: "serverAuth",
    USAGE_OIDS["client"]: "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "1.3.6.1.5.5.7.3.17": "ipsecIKE",
    ANY_USE: "anyExtendedKeyUsage",
}


def usage_word(oid: str) -> str:
    return _USAGE_WORDS.get(oid, oid)
