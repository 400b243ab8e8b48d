"""The suite proves itself: each of these planted defects makes a named test fail.

All of them with ``--long``; every day a sample, chosen by place in the list and so the same on every machine.  Nothing
here is bounded by a clock: each tries the tests of one file, and a story ends by its own count of moments.

Longer than 300 lines because it is one list of defects.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# (file below domain, what stands there once, what is planted).
Change = tuple[str, str, str]
L = "lifecycle/"

# Defect -> (the file of tests that must fail, its changes).
DEFECTS: dict[str, tuple[str, tuple[Change, ...]]] = {
    # --- the objections of the chain, each dropped ---
    **{
        f"no objection {check}": (
            "test_succession",
            (("objections.py", f"    {check},\n    {following},", f"    {following},"),),
        )
        for check, following in (
            ("ca_certificate", "trust_class"),
            ("trust_class", "other_ca"),
            ("other_ca", "bad_path"),
            ("bad_path", "weaker_key"),
            ("weaker_key", "weak_signature"),
            ("weak_signature", "not_begun"),
            ("not_begun", "ended"),
            ("ended", "no_common_name"),
            ("no_common_name", "ends_sooner"),
            ("ends_sooner", "names_lost"),
            ("names_lost", "other_names_lost"),
            ("other_names_lost", "usages_lost"),
            ("usages_lost", "usages_gained"),
        )
    },
    "no objection usages_gained": (
        "test_succession",
        (("objections.py", "    usages_lost,\n    usages_gained,\n)", "    usages_lost,\n)"),),
    ),
    # --- succession ---
    "one look is enough": (
        "test_succession",
        (
            (
                L + "succession.py",
                "good >= state.led_by.good_looks and since is not None and last >= since + ground.again",
                "good >= 1",
            ),
        ),
    ),
    "two looks in a breath": (
        "test_succession",
        ((L + "succession.py", "last >= since + ground.again", "last >= since"),),
    ),
    "not everywhere": (
        "test_succession",
        (
            (
                L + "succession.py",
                "not self.bad and not self.different and self.is_alone",
                "not self.bad and not self.different",
            ),
        ),
    ),
    "silent places hold nothing back": (
        "test_succession",
        ((L + "succession.py", "return self.is_good and not self.lacking and", "return self.is_good and"),),
    ),
    "a take of any difference": (
        "test_succession",
        (
            (
                L + "answers.py",
                "one.about == message.about and one.kind == message.question",
                "one.kind == message.question",
            ),
            ("people/approval.py", "if all(one.about != message.about for one in open_ones):", "if False:"),
        ),
    ),
    # --- what is served ---
    "silence forgets": (
        "test_served",
        (
            (
                L + "seeing.py",
                "        return replace(\n            place,\n            silent=",
                "        return replace(\n            place,\n            lives=(),\n            silent=",
            ),
        ),
    ),
    "a look of the future counts": (
        "test_served",
        ((L + "sightings.py", "if look.at > turn.now + turn.rules.clock_skew:", "if False:"),),
    ),
    "a place without time is silent": (
        "test_served",
        ((L + "sightings.py", "look.outcome is LookOutcome.NOT_LOOKED or ", ""),),
    ),
    "a taken place is forgotten": ("test_served", ((L + "seeing.py", "places=(*own, *taken)", "places=tuple(own)"),)),
    "each life on the present one's length": (
        "test_served",
        (
            (
                L + "served.py",
                "        begins = next((seen.not_before for seen, _ in shown if seen.not_before is not None), facts.not_before)",
                "        begins = mine.not_before",
            ),
        ),
    ),
    "a revoked life lives": (
        "test_served",
        (
            (
                L + "served.py",
                "return life if at is None or life.ends_at <= at else replace(life, ends_at=at)",
                "return life",
            ),
        ),
    ),
    "few connections out-see many": (
        "test_served",
        ((L + "seeing.py", "not in prints and of < life.of]", "not in prints and False]"),),
    ),
    "a later end without a whole chain": (
        "test_path_end",
        (
            (
                L + "served.py",
                "if earliest > life.ends_at and not _is_whole_everywhere(state, life.fingerprint):",
                "if False:",
            ),
        ),
    ),
    # --- climbs ---
    "one climb for all lives": (
        "test_climbs",
        (
            (
                L + "scheduling.py",
                "climbs.get((life.fingerprint, audience))",
                "next((one for one in climbs.values() if one.to == audience), None)",
            ),
        ),
    ),
    "one climb for both audiences": (
        "test_climbs",
        (
            (
                L + "scheduling.py",
                "climbs.get((life.fingerprint, audience))",
                "next((one for one in climbs.values() if one.fingerprint == life.fingerprint), None)",
            ),
        ),
    ),
    "an acknowledgement of any rung": (
        "test_climbs",
        ((L + "ladder.py", "climb.quiet_lead_seconds == seconds_of(rung) and ", ""),),
    ),
    "a stale acknowledgement": (
        "test_climbs",
        (("people/approval.py", "if call.about == message.about)", "if True)"),),
    ),
    "repeats every few minutes": (
        "test_climbs",
        (
            (
                L + "ladder.py",
                "return max(scaled(lead, length), least) if length > timedelta() else max(lead, least)",
                "return max(scaled(lead, length), least)",
            ),
        ),
    ),
    "called for what was mended": (
        "test_climbs",
        ((L + "evolve.py", "    if left == case.failing:\n", "    if True:\n"),),
    ),
    # --- verification ---
    "wrong looks counted together": (
        "test_verification",
        (
            (
                L + "deployment.py",
                "lost = [place for place in wrong if place.wrong >= rules.wrong_looks]",
                "lost = wrong if sum(place.wrong for place in wrong) >= rules.wrong_looks else []",
            ),
        ),
    ),
    "our silence is not ours": (
        "test_verification",
        ((L + "seeing.py", "if place.put_at is None or not place.answered or", "if True or"),),
    ),
    "silent before too is wrong": (
        "test_verification",
        ((L + "seeing.py", "if place.put_at is None or not place.answered or", "if place.put_at is None or"),),
    ),
    "left out without a word": (
        "test_verification",
        (
            (
                L + "deployment.py",
                '"verified", slots_that_fit(left_out, turn.rules.event_bytes, turn.rules), len(left_out)',
                '"verified"',
            ),
        ),
    ),
    "half a pool is enough": (
        "test_verification",
        (
            (
                L + "seeing.py",
                "    return all(\n        seen.fingerprint == issued.fingerprint",
                "    return any(\n        seen.fingerprint == issued.fingerprint",
            ),
        ),
    ),
    "a look from before the install verifies": (
        "test_verification",
        (
            (L + "seeing.py", "        and seen.last >= place.put_at\n", ""),
            (L + "sightings.py", "if last is None or look.at >= last:", "if True:"),
        ),
    ),
    "our silence is forgotten when it is taken back": (
        "test_verification",
        ((L + "seeing.py", "answered=place.answered or is_answering(place)", "answered=is_answering(place)"),),
    ),
    # --- places in numbers, and at odds ---
    "the same look twice is two": (
        "test_places",
        ((L + "seeing.py", "        if is_again:\n            return place\n", ""),),
    ),
    "an old one of ours becomes a stranger": (
        "test_places",
        ((L + "evolve.py", "if one in shown or one in newest)", "if one in newest)"),),
    ),
    "facts without a bound": (
        "test_places",
        ((L + "seeing.py", "lives_that_fit(strangers, state.led_by.facts_kept, state.led_by)", "tuple(strangers)"),),
    ),
    "a repair believed by an old look": (
        "test_answers",
        ((L + "seeing.py", "still_due = None if due is not None and first.at >= due else due", "still_due = None"),),
    ),
    "known drift is known everywhere": (
        "test_answers",
        (
            (
                L + "questions.py",
                "if not {*earlier_at(state, place)} <= {*place.known_drift})",
                "if not any(one.known_drift for one in state.places))",
            ),
        ),
    ),
    "one that joins answers for all that moved": (
        "test_answers",
        ((L + "seeing.py", "moved=state.moved[len(joined) :]", "moved=() if joined else state.moved"),),
    ),
    "an open question is cleared": (
        "test_places",
        ((L + "standing.py", "if waits or state.questions or state.forked:", "if waits or state.forked:"),),
    ),
    "what a discovery found counts nothing": (
        "test_places",
        (
            (
                L + "standing.py",
                " | {kind for one in state.own_places for kind in one.found}",
                "",
            ),
        ),
    ),
    # --- orders ---
    "a pending order of a retired one is forgotten": (
        "test_orders",
        (
            (
                L + "revoking.py",
                'elif outcome.state == "pending":\n        _uncollected(turn',
                "elif False:\n        _uncollected(turn",
            ),
        ),
    ),
    "a revocation told as done": (
        "test_orders",
        ((L + "revoking.py", "    if answer.done:\n", "    if True:\n"),),
    ),
    "one backoff for every step": (
        "test_orders",
        (
            (
                L + "transition.py",
                "failures_of(case, step, place) if case is not None else 0",
                "case.failures if case is not None else 0",
            ),
            (L + "evolve.py", "before = failures_of(case, failed.step, failed.place)", "before = case.failures"),
        ),
    ),
    "an approval for ever": (
        "test_orders",
        ((L + "scheduling.py", "case.approval_ends_at <= turn.now and not case.order_open", "False"),),
    ),
    "a hold past the mark": ("test_orders", (("people/approval.py", "    if until > latest:\n", "    if False:\n"),)),
    "a step down that waits": (
        "test_orders",
        ((L + "renewal_value.py", "max(half, before_the_mark) if gains_anything else half", "half"),),
    ),
    "who changed the plan approves": (
        "test_orders",
        ((L + "decide.py", "eyes = {case.requested_by, *case.plan_changed_by}", "eyes = {case.requested_by}"),),
    ),
    "a plan of before its case was changed by nobody": (
        "test_orders",
        ((L + "evolve.py", "plan_changed_by=by, case=case)", "case=case)"),),
    ),
    "what is never collected is collected for ever": (
        "test_revoking",
        ((L + "revoking.py", "if since + turn.rules.collect_asks_after <= turn.now:", "if False:"),),
    ),
    "a failure that is acknowledged silences all": (
        "test_climbs",
        ((L + "scheduling.py", "quiet is not None and case.owner_quiet_for ==", "quiet is not None and '' !="),),
    ),
    "the retry window": (
        "test_bounds",
        ((L + "scheduling.py", " or case.first_failed_at + window <= turn.now:", ":"),),
    ),
    "the 14-day limit": (
        "test_climbs",
        (("people/approval.py", "if message.until > now + longest:", "if False:"),),
    ),
    # --- bounds, each one too wide ---
    **{
        f"a bound of {bound}": (file, ((L + where, old, new),))
        for bound, file, where, old, new in (
            ("wrong looks", "test_verification", "deployment.py", "place.wrong >= rules", "place.wrong > rules"),
            ("silent looks", "test_bounds", "served.py", ">= rules.silent_looks", "> rules.silent_looks"),
            (
                "a silent week",
                "test_bounds",
                "served.py",
                "now - place.silent_since >= week",
                "now - place.silent_since > week",
            ),
            ("absent looks", "test_bounds", "served.py", ">= rules.absent_looks", "> rules.absent_looks"),
            ("questions of a kind", "test_bounds", "questions.py", "asked >= state", "asked > state"),
            ("good looks", "test_bounds", "succession.py", "good >= state", "good > state"),
            ("the retry budget", "test_bounds", "scheduling.py", "case.failures >= table", "case.failures > table"),
            (
                "an approval's days",
                "test_bounds",
                "scheduling.py",
                "approval_ends_at <= turn",
                "approval_ends_at < turn",
            ),
            ("a clock's skew", "test_served", "sightings.py", "look.at > turn.now +", "look.at >= turn.now +"),
        )
    },
    # --- what is brought, and the last fence of our CA ---
    **{
        f"no objection {check} to what {chain} holds back": ("test_objections", (("objections.py", old, new),))
        for check, chain, old, new in (
            ("other_key", "every fence", "(other_key, other_names_than_ordered", "(other_names_than_ordered"),
            ("other_names_than_ordered", "every fence", "(other_key, other_names_than_ordered,", "(other_key,"),
            ("ordered_key", "every fence", "ordered_key, weak_signature, ca", "weak_signature, ca"),
            ("weak_signature", "every fence", "weak_signature, ca_certificate)", "ca_certificate)"),
            ("ca_certificate", "every fence", "weak_signature, ca_certificate)", "weak_signature)"),
            ("unordered_other_names", "an upload", "unordered_other_names,\n    usages_not_exact", "usages_not_exact"),
            ("usages_not_exact", "an upload", "usages_not_exact,\n    other_issuer", "other_issuer"),
            ("other_issuer", "an upload", "other_issuer,\n    lower_trust", "lower_trust"),
            ("lower_trust", "an upload", "lower_trust,\n    bad_path,\n    begins", "bad_path,\n    begins"),
            ("bad_path", "an upload", "bad_path,\n    begins_late", "begins_late"),
            ("begins_late", "an upload", "begins_late,\n    too_short", "too_short"),
            ("too_short", "an upload", "too_short,\n    too_long", "too_long"),
            ("too_long", "an upload", "too_short,\n    too_long,\n", "too_short,\n"),
            ("usages_not_exact", "our CA", "(*_ORDERED, usages_not_exact, too", "(*_ORDERED, too"),
            ("too_long", "our CA", "usages_not_exact, too_long)", "usages_not_exact)"),
        )
    },
    # --- promises that only the search holds: by many lives, each of a counted number of steps ---
    "a dropped rung": ("test_lifecycle", ((L + "ladder.py", "enumerate(table.rungs)", "enumerate(table.rungs[1:])"),)),
    "< for <=": (
        "test_lifecycle",
        (
            (
                L + "scheduling.py",
                "due = [rung for rung in rungs if rung.at <= turn.now and",
                "due = [rung for rung in rungs if rung.at < turn.now and",
            ),
        ),
    ),
    "a reused approval": (
        "test_lifecycle",
        (
            ("people/approval.py", "if case.plan is None or message.plan_version != case.plan.version:", "if False:"),
            (L + "decide.py", "case.plan is None or case.plan.version != message.plan_version", "case.plan is None"),
        ),
    ),
    "a forgotten place": (
        "test_lifecycle",
        ((L + "deployment.py", "    if verified and not rest:\n", "    if verified:\n"),),
    ),
    "an order under the terms of before": (
        "test_lifecycle",
        ((L + "scheduling.py", "if case.plan == terms.plan and", "if True or"),),
    ),
    "an issuer that ends first, believed": (
        "test_lifecycle",
        ((L + "step_results.py", "    if gains(life.ends_at,", "    if True or gains(life.ends_at,"),),
    ),
    "an order that can gain nothing": ("test_gain", ((L + "scheduling.py", "    if vain:\n", "    if False:\n"),)),
    "a rejection without a way out": (
        "test_lifecycle",
        ((L + "evolve.py", "approval_ends_at=None, retry_at=again", "approval_ends_at=None, retry_at=None"),),
    ),
    "a decision by whoever asked": (
        "test_lifecycle",
        ((L + "decide.py", "if _is_asker(case, command):", "if False:"),),
    ),
    "an answer that ends nothing": (
        "test_answers",
        (
            (
                L + "answers.py",
                "    if any(one.key == question.key for one in turn.state.questions):\n",
                "    if False:\n",
            ),
        ),
    ),
    "a question that does not climb": (
        "test_answers",
        ((L + "questions.py", "if question.climbs_at <= turn.now:", "if False:"),),
    ),
    "a released number edited": (
        "test_rules",
        ((L + "rules.py", "    wrong_looks=3,\n", "    wrong_looks=2,\n"),),
    ),
}
EVERY_DAY = sorted(DEFECTS)[::8]


def _marked(name: str) -> object:
    return pytest.param(name, marks=() if name in EVERY_DAY else pytest.mark.long)


@pytest.mark.parametrize("name", [_marked(name) for name in sorted(DEFECTS)])
def test_a_planted_defect_makes_a_test_fail(name: str, tmp_path: Path) -> None:
    file, changes = DEFECTS[name]
    _copied(tmp_path)
    for where, old, new in changes:
        path = tmp_path / "domain" / where
        text = path.read_text()
        assert text.count(old) == 1, f"{where} no longer says {old!r} once: plant the defect anew"
        path.write_text(text.replace(old, new))

    run = _run(tmp_path, file)

    # 1: tests were run and one failed.  Anything else, a broken import say, proves nothing.
    assert run.returncode == 1, f"{file} did not notice: {run.stdout[-2000:]}{run.stderr[-500:]}"
    assert "1 failed" in run.stdout


def _copied(to: Path) -> Path:
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "domain", to / "domain", ignore=skipped)
    shutil.copytree(ROOT / "tests" / "domain", to / "tests" / "domain", ignore=skipped)
    (to / "tests" / "__init__.py").touch()
    return to


def _run(at: Path, file: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(at), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"tests/domain/{file}.py"]
    return subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True)


FILES = sorted({file for file, _ in DEFECTS.values()})


@pytest.mark.parametrize("file", [pytest.param(f, marks=() if f == FILES[0] else pytest.mark.long) for f in FILES])
def test_without_a_defect_the_same_copy_is_green(file: str, tmp_path: Path) -> None:
    """Else what fails below might fail anyway."""
    run = _run(_copied(tmp_path), file)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-500:]


def test_there_are_as_many_defects_as_were_promised() -> None:
    assert len(DEFECTS) >= 30 and len(EVERY_DAY) >= 6
