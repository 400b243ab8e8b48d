"""What our CAs signed and have forgotten, since their table was put back: found again where it is served."""

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sqlalchemy.engine import Engine
from temporalio import activity

from activities.issuers.private_ca.revocation import renew_crl
from domain.contracts import LostOrder, LostOrders, LostRevocations, Regained
from formats.x509 import parse_certificate
from store import ca
from store.ca import Authority, Issued
from store.sightings.looks import ders_of

# Of an order whose request is forgotten with it: no request has this hash, so none is ever answered by it.
NO_REQUEST = "0" * 64


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
            signer = _signer(authorities, one, der)
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


def _signer(authorities: Sequence[Authority], lost: LostOrder, der: bytes | None) -> Authority | None:
    """Which of our CAs signed it: by its key where the bytes are known, else by its name."""
    for authority in authorities:
        if der is None:
            if parse_certificate(authority.certificate).subject == lost.issuer:
                return authority
            continue
        try:
            parent = x509.load_der_x509_certificate(authority.certificate)
            x509.load_der_x509_certificate(der).verify_directly_issued_by(parent)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return authority
    return None
