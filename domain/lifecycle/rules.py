"""The released rule sets: every number and choice of a lifecycle that may change, read from the set its state names.

A released set is never edited: live states and stored histories were made under it, and a replay or a refold under
other numbers is another life.  To change a number, or a behaviour: a new set beside the others, a flag in ``flags``
where code must do both, and ``NEWEST``.  A set goes once no live state and no gated history names it.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from domain.errors import BadInput

# A choice between two behaviours, by name.
# "verified-is-valid": what begins later than our clock is revoked and ordered once more, and what a place serves counts
# as served only where it has begun and its path has not ended.
# "unroutable-told-once": that nothing can renew it is told again only when the reason changed, or a week later (scaled,
# never below a day), or past E a day later; it is looked at again as often as before.
# "remedies-say": a receipt says what a remedy came to; what the store refused is offered to it again at once when a
# person resumes, and the question ends by itself once the store took it; who could not be reached is told again what is
# open.
# "rungs-say-who-was-missed": a rung's message names whom an earlier message did not reach.
Flag = Literal["verified-is-valid", "unroutable-told-once", "remedies-say", "rungs-say-who-was-missed"]


def _days(count: float) -> timedelta:
    return timedelta(days=count)


def _minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Under which a life is led; what is *scaled* is multiplied by s = min(1, L / 180 d) (DESIGN rule 1)."""

    name: str
    flags: frozenset[Flag]

    # --- looking ---
    # A foreign certificate counts only when it passes in two looks, this far apart (scaled).
    second_look: timedelta
    good_looks: int
    # A silent place is looked at again after this (scaled); silent this often, over this long (scaled), it is unseen.
    silent_again: timedelta
    silent_looks: int
    silent_for: timedelta
    # A file that was read before and is not there any more: a reader errs less than a network.
    absent_looks: int
    # What stays wrong while nobody acts is looked at this often (scaled): unseen, to be repaired, drifted.
    wrong_places_again: timedelta
    # Looking itself is broken: it is tried again after this, and ever more seldom, up to an hour.
    broken_look_again: timedelta
    # Slots that one step is given; the rest are looked at by the next one.
    places_per_look: int
    # A look dated further ahead than this is of a clock that is wrong (DESIGN rule 12).
    clock_skew: timedelta

    # --- verifying ---
    # A reload may take a moment to show: after this many looks in a row that see something else it is rolled back.
    wrong_looks: int
    wrong_again: timedelta
    silent_verify_again: timedelta
    silent_verify_longest: timedelta
    not_looked_again: timedelta
    # Where a step never has the time: a further share of the wait so far.
    unlooked_share: int

    # --- waiting ---
    # Retries start here and double; scaled lives retry sooner, but never in a spin.
    first_retry: timedelta
    longest_retry: timedelta
    shortest_retry: timedelta
    # A short life is tried at its own pace this often; then the pause doubles with every few tries, up to the longest.
    steady_retries: int
    tries_per_doubling: int
    ca_again: timedelta
    least_ca_wait: timedelta
    consult_again: timedelta
    unroutable_again: timedelta
    least_unroutable_wait: timedelta
    store_under_way: timedelta
    recall_again: timedelta
    unreadable_again: timedelta

    # --- revoking ---
    revoke_again: timedelta
    # CA/B Forum BR 4.9.1.1 gives 24 hours for a leaked key: a person is asked after 4, so a night shift fits twice.
    revoke_asks_after: timedelta
    # What a CA has not said in this time of an order that nobody needs any more, it will not say to us.
    collect_asks_after: timedelta

    # --- asking ---
    # Calls to people never scale below a day: what repeats sooner is not read.
    repeat_after: timedelta
    question_climbs: timedelta
    question_repeats: timedelta
    least_question_pause: timedelta
    # Of one kind; a hostile estate can show as many strangers as it likes.
    most_questions: int
    asks_again: timedelta
    approval_lasts: timedelta
    reserved_for: timedelta
    longest_acknowledgement: timedelta
    # A step down in life is ordered this long (scaled) before the escalation mark.
    step_down_before: timedelta
    # X.733: with this much left (scaled) and no verified replacement nothing is more urgent.
    critical_below: timedelta

    # --- what counts as a renewal ---
    # A CA may back-date by one part in so many of what was planned; ours does, by so much at most.
    backdate_share: int
    largest_backdate: timedelta
    # Comparable strengths in bits, by the size of an RSA key, the largest first.
    rsa_strength: tuple[tuple[int, int], ...]
    # Fewest bits of a key by its kind, and hashes that nobody may rely on.
    least_bits: tuple[tuple[str, int], ...]
    weak_hashes: frozenset[str]

    # --- remembering ---
    earlier_kept: int
    codes_kept: int
    notices_kept: int
    untold_kept: int
    verdicts_kept: int
    failing_kept: int
    # Bytes of the facts of certificates that are not ours.
    facts_kept: int

    # Bytes of a list that has an event for itself; and of one of several lists, or one beside a certificate's names.  A
    # path of a file alone may have 12,000 as an address.
    event_bytes: int
    event_part_bytes: int
    # Bytes of one slot, look or life beside its texts: names of fields, dates, fingerprints, marks.
    slot_frame: int
    look_frame: int
    life_frame: int

    # --- the run ---
    answers_kept: int
    events_at_once: int
    # Characters of what is recorded together, or travels to the next run: compressed, with the read model or the state
    # beside it, it stays below the 512 KiB of a payload.
    most_together: int
    most_carried: int
    messages_per_run: int
    overdue: timedelta
    door: timedelta
    refused_again: timedelta
    # The search attributes that a run sets: each is a command.
    shown: tuple[str, ...]


_FIRST = RuleSet(
    name="0.2",
    flags=frozenset(),
    second_look=_minutes(60),
    good_looks=2,
    silent_again=_days(3.5),
    silent_looks=3,
    silent_for=_days(7),
    absent_looks=2,
    wrong_places_again=_days(7),
    broken_look_again=_minutes(5),
    places_per_look=1000,
    clock_skew=timedelta(seconds=60),
    wrong_looks=3,
    wrong_again=timedelta(seconds=2),
    silent_verify_again=_minutes(5),
    silent_verify_longest=timedelta(hours=12),
    not_looked_again=timedelta(seconds=5),
    unlooked_share=8,
    first_retry=timedelta(seconds=30),
    longest_retry=timedelta(hours=6),
    shortest_retry=timedelta(seconds=5),
    steady_retries=24,
    tries_per_doubling=8,
    ca_again=timedelta(hours=1),
    least_ca_wait=timedelta(seconds=30),
    consult_again=_minutes(5),
    unroutable_again=_days(7),
    least_unroutable_wait=_minutes(1),
    store_under_way=timedelta(seconds=5),
    recall_again=_minutes(5),
    unreadable_again=timedelta(hours=1),
    revoke_again=timedelta(hours=1),
    revoke_asks_after=timedelta(hours=4),
    collect_asks_after=_days(7),
    repeat_after=timedelta(hours=24),
    question_climbs=_days(7),
    question_repeats=_days(7),
    least_question_pause=_minutes(1),
    most_questions=10,
    asks_again=_days(7),
    approval_lasts=_days(30),
    reserved_for=timedelta(seconds=60),
    longest_acknowledgement=_days(14),
    step_down_before=_days(7),
    critical_below=_days(7),
    backdate_share=20,
    largest_backdate=_minutes(5),
    rsa_strength=((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80)),
    least_bits=(("rsa", 2048), ("ecdsa", 256), ("ed25519", 256)),
    weak_hashes=frozenset({"md2", "md4", "md5", "sha1"}),
    earlier_kept=20,
    codes_kept=200,
    notices_kept=50,
    untold_kept=100,
    verdicts_kept=20,
    failing_kept=50,
    facts_kept=150_000,
    event_bytes=48_000,
    event_part_bytes=14_000,
    slot_frame=40,
    look_frame=450,
    life_frame=900,
    answers_kept=100,
    events_at_once=50,
    most_together=500_000,
    most_carried=500_000,
    messages_per_run=500,
    overdue=timedelta(seconds=60),
    door=timedelta(seconds=30),
    refused_again=timedelta(hours=1),
    shown=(
        "EverleafTier",
        "EverleafState",
        "EverleafOwner",
        "EverleafIssuer",
        "EverleafService",
        "EverleafRules",
        "EverleafNeedsHuman",
        "EverleafNotAfter",
        "EverleafNextAction",
    ),
)

RULES: dict[str, RuleSet] = {
    rules.name: rules
    for rules in (
        _FIRST,
        replace(
            _FIRST,
            name="0.3",
            flags=frozenset(
                {"verified-is-valid", "unroutable-told-once", "remedies-say", "rungs-say-who-was-missed"},
            ),
        ),
    )
}

# What new lives take, and what `upgrade` brings idle ones to.
NEWEST = "0.3"
# Under which a state is read that has taken none: events of before there were rule sets.
OLDEST = "0.2"


def rule_set(name: str) -> RuleSet:
    """The released set ``name``; empty: the oldest.  Raises BadInput where this release does not have it any more."""
    found = RULES.get(name or OLDEST)
    if found is None:
        known = ", ".join(sorted(RULES))
        raise BadInput("rules", f"this release has no rule set {name!r}", f"Run one that has it; this has {known}.")
    return found
