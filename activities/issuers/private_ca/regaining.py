"""What our CAs signed and have forgotten, since their table was put back: found again where it is served."""

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sqlalchemy.engine import Engine
from temporalio import activity

from activities.issuers.private_ca.revocation import renew_crl
from domain.contracts import MOST_PAIRS, FindForgotten, Forgotten, LostOrders, LostRevocations, Regained
from formats.x509 import parse_certificate
from store import ca
from store.ca import Authority, Issued
from store.sightings.looks import ders_of

# Of an order whose request is forgotten with it: no request has this hash, so none is ever answered by it.
NO_REQUEST = "0" * 64
LONGEST_NAME = 100


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
            made = x509.load_der_x509_certificate(der)
            tbs = made.tbs_certificate_bytes
            issued = Issued(one.order_key, signer.name, f"{made.serial_number:x}", NO_REQUEST, tbs, der)
            ca.regain(self._engine, issued, made.not_valid_before_utc, self._clock())
            regained += 1
            missing.append((one.managed_id, f"the key and the request of order {one.order_key} are lost"))
        return Regained(regained, tuple(missing))

    @activity.defn
    def revoke_again(self, lost: LostRevocations) -> Regained:
        """Revoke whatever of ``lost`` our CAs signed and have forgotten to be revoked; idempotent.

        With the last page every list is made anew, although our CAs are held until all of them are: on the one before
        stands nothing that was forgotten.  A certificate that they have forgotten as well was told with its serial.
        """
        again = 0
        for one in lost.orders:
            found = ca.find_issued(self._engine, one.order_key)
            if found is not None and found.revoked_at is None:
                ca.revoke(self._engine, one.order_key, one.reason, one.at)
                again += 1
        if not lost.after:
            for authority in ca.authorities(self._engine):
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
        found: list[tuple[str, str]] = []
        for der in ca.unremembered(self._engine, subjects, self._clock(), MOST_PAIRS):
            seen = parse_certificate(der)
            signer = _signer(authorities, seen.issuer, der)
            if signer is None:
                continue
            told = f"serial {seen.serial} of {signer.name} is served, and {signer.name} does not remember it"
            found.append((next(iter(seen.names), seen.subject)[:LONGEST_NAME], told))
            if asked.regain:
                made = x509.load_der_x509_certificate(der)
                # Of no order that anybody knows, and of no lifecycle.
                key, tbs = f"forgotten.{seen.fingerprint}", made.tbs_certificate_bytes
                issued = Issued(key, signer.name, f"{made.serial_number:x}", NO_REQUEST, tbs, der)
                ca.regain(self._engine, issued, made.not_valid_before_utc, self._clock())
        return Forgotten(tuple(found))


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
