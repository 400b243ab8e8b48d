"""What our CAs signed and have forgotten, since their table was put back: found again where it is served."""

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sqlalchemy.engine import Engine
from temporalio import activity

from activities.issuers.private_ca.revocation import renew_crl
from domain.comparison import (
    MOST_PAIRS,
    FindForgotten,
    Forgotten,
    LostOrders,
    LostRevocation,
    LostRevocations,
    Regained,
)
from formats.x509 import parse_certificate
from store import ca
from store.ca import Authority, Issued
from store.sightings.looks import ders_of

# Of an order whose request is forgotten with it: no request has this hash, so none is ever answered by it.
NO_REQUEST = "0" * 64
LONGEST_NAME = 100
PAGE = 500


class RegainingActivities:
    def __init__(self, engine: Engine, kek: bytes, clock: Callable[[], datetime]) -> None:
        self._engine, self._kek, self._clock = engine, kek, clock

    @activity.defn
    def regain_issued(self, lost: LostOrders) -> Regained:
        """Enter among what our CAs signed whatever of ``lost`` a look has met; idempotent.

        Only so can it be revoked.  A certificate of another CA is none of ours; one of ours that nobody serves any more
        is told with its serial, and so is the key, which is gone with its order.
        """
        authorities = ca.authorities(self._engine)
        ders = ders_of(self._engine, [one.fingerprint for one in lost.orders])
        regained, missing = 0, list[tuple[str, str]]()
        for one in lost.orders:
            der = ders.get(one.fingerprint)
            signer = _signer(authorities, one.issuer, der)
            if signer is None:
                continue
            if der is None:
                missing.append(
                    (one.managed_id, f"serial {one.serial} of {signer.name} was signed and is served nowhere")
                )
                continue
            self._enter(signer, one.order_key, der)
            regained += 1
            missing.append((one.managed_id, f"the key and the request of order {one.order_key} are lost"))
        return Regained(regained, tuple(missing))

    @activity.defn
    def revoke_again(self, lost: LostRevocations) -> Regained:
        """Revoke whatever of ``lost`` our CAs signed and have forgotten to be revoked; idempotent.

        With the last page every list is made anew, although our CAs are held until all of them are: on the one before
        stands nothing that was forgotten.  What they have forgotten as well is entered where a look has met it, else by
        the serial that its lifecycle knows; of what has neither it cannot be said whose it was.
        """
        again, authorities = 0, ca.authorities(self._engine)
        ders = ders_of(self._engine, [one.fingerprint for one in lost.orders if one.fingerprint])
        for one in lost.orders:
            der = ders.get(one.fingerprint)
            signer = _signer(authorities, "", der) if der is not None else None
            if signer is not None and der is not None:
                # Its lifecycle never had it in use, so that no event says that it was issued.
                self._enter(signer, one.order_key, der)
            found = ca.find_issued(self._engine, one.order_key) or self._by_serial(authorities, one)
            if found is not None and found.revoked_at is None:
                ca.revoke(self._engine, found.order_key, one.reason, one.at)
                again += 1
        if not lost.after:
            for authority in authorities:
                renew_crl(self._engine, authority, self._kek, self._clock())
        return Regained(again)

    @activity.defn
    def find_forgotten(self, asked: FindForgotten) -> Forgotten:
        """What our CAs signed and do not remember, by what a look has met: their table was put back.

        Also where Temporal was put back with it, so that no lifecycle knows of the orders.  A certificate that merely
        names one of ours as its issuer is nobody's reason to stop: the key says who signed.
        """
        authorities = ca.authorities(self._engine)
        subjects = [parse_certificate(one.certificate).subject for one in authorities]
        found: list[tuple[str, str, str]] = []
        after = ""
        while len(found) < MOST_PAIRS:
            page = ca.unremembered(self._engine, subjects, self._clock(), after, PAGE)
            for after, der in page:
                seen = parse_certificate(der)
                signer = _signer(authorities, seen.issuer, der)
                if signer is None:
                    continue
                told = f"{signer.name} signed serial {seen.serial}, which a look has met, and does not remember it"
                found.append((after, next(iter(seen.names), seen.subject)[:LONGEST_NAME], told))
                if asked.regain:
                    # Of no order that anybody knows, and of no lifecycle.
                    self._enter(signer, ca.FORGOTTEN + after, der)
            if len(page) < PAGE:
                break
        return Forgotten(tuple(found[:MOST_PAIRS]))

    def _by_serial(self, authorities: Sequence[Authority], lost: LostRevocation) -> Issued | None:
        """What was revoked is seldom served any more, so its bytes are gone; a list needs its serial alone."""
        signer = _signer(authorities, lost.issuer, None) if lost.serial else None
        if signer is None:
            return None
        ca.regain(self._engine, Issued(lost.order_key, signer.name, lost.serial, NO_REQUEST, b""), None, self._clock())
        return ca.find_serial(self._engine, signer.name, lost.serial)

    def _enter(self, signer: Authority, order_key: str, der: bytes) -> None:
        made = x509.load_der_x509_certificate(der)
        issued = Issued(order_key, signer.name, f"{made.serial_number:x}", NO_REQUEST, made.tbs_certificate_bytes, der)
        ca.regain(self._engine, issued, made.not_valid_before_utc, self._clock())


def _signer(authorities: Sequence[Authority], issuer: str, der: bytes | None) -> Authority | None:
    """Which of our CAs signed it: by its key where the bytes are known, else by its name."""
    for authority in authorities:
        if der is None:
            if parse_certificate(authority.certificate).subject == issuer:
                return authority
            continue
        try:
            parent = x509.load_der_x509_certificate(authority.certificate)
            x509.load_der_x509_certificate(der).verify_directly_issued_by(parent)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return authority
    return None
