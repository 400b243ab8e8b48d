"""What is counted and measured: how many of which severity, what ends first, how long renewals take."""

from collections.abc import Iterable
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.tiers import Tier
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


def renewal_times(engine: Engine, tiers: Iterable[Tier] = tuple(Tier), most: int = 500) -> dict[Tier, list[timedelta]]:
    """How long the newest renewals of each tier took: from their first order, which follows the approval (and the time
    that its approver held it), to verified."""
    case, order = tables.cases.c, tables.orders.c
    found: dict[Tier, list[timedelta]] = {}
    # As ``domain.names.order_key`` writes the first one of a case.
    first = sa.func.concat(case.managed_id, ".", case.generation, ".", case.number, ".1")
    with engine.connect() as connection:
        for tier in tiers:
            query = sa.select(case.closed_at - order.placed_at).join(tables.orders, order.order_key == first)
            query = query.join(READ, READ.c.id == case.managed_id)
            query = query.where(READ.c.tier == tier.value, case.outcome == "verified", case.closed_at.is_not(None))
            found[tier] = list(connection.execute(query.order_by(case.closed_at.desc()).limit(most)).scalars())
    return found
