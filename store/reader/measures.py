"""What monitoring counts: how many of which severity, and the certificates that end first, with their X.509 facts."""

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from store import tables
from store.reader.pages import Row

READ = tables.managed_certificates
LIVING = READ.c.retired.is_(False)


def by_tier_and_severity(engine: Engine) -> dict[tuple[str, str], int]:
    """(Tier, severity) -> how many living managed certificates; only those that there are."""
    groups = (READ.c.tier, READ.c.severity)
    with engine.connect() as connection:
        counted = connection.execute(sa.select(*groups, sa.func.count()).where(LIVING).group_by(*groups))
        return {(row[0], row[1]): row[2] for row in counted}


def ending_first(engine: Engine, most: int) -> list[Row]:
    """Living managed certificates by their end.  ``subject``, ``issued_by`` (RFC 4514), ``serial`` (hex): None where
    the certificate itself is not stored or could not be parsed."""
    facts = tables.certificates.c.facts
    columns = (
        *(READ.c.id, READ.c.tier, READ.c.issuer, READ.c.names, READ.c.endpoints, READ.c.not_before, READ.c.not_after),
        facts["subject"].as_string().label("subject"),
        facts["issuer"].as_string().label("issued_by"),
        facts["serial"].as_string().label("serial"),
    )
    joined = READ.outerjoin(tables.certificates, tables.certificates.c.fingerprint == READ.c.fingerprint)
    query = sa.select(*columns).select_from(joined).where(LIVING).order_by(READ.c.not_after, READ.c.id).limit(most)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
