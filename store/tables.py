"""Every table, in one place; the module named above each group is the only one that writes it.

To add a table: define it here, name its writer, add an Alembic revision.
Longer than 300 lines because one list of all tables is what a reader and Alembic look for.
"""

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()


def instant(name: str, *, required: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=not required)


# --- store.sightings: what discovery saw and whom it belongs to -----------------------------------------------

discoveries = Table(
    "discoveries",
    metadata,
    Column("id", String, primary_key=True),
    Column("source", String, nullable=False),
    # planned -> scanning -> scanned -> adopted; failed with `detail`.
    Column("state", String, nullable=False),
    Column("scope", JSONB, nullable=False),
    Column("pages", Integer, nullable=False, server_default="0"),
    Column("targets", Integer, nullable=False, server_default="0"),
    Column("report", JSONB, nullable=True),
    Column("detail", String, nullable=False, server_default=""),
    # Its run in Temporal; whoever starts one there names the workflow as they like.
    Column("workflow_id", String, nullable=False, server_default=""),
    Column("run_id", String, nullable=False, server_default=""),
    instant("started_at"),
    instant("finished_at", required=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("der", LargeBinary, nullable=False),
    # The facts of domain.certificate.Certificate, parsed once; NULL where the bytes cannot be parsed.
    Column("facts", JSONB, nullable=True),
    instant("not_after", required=False),
    instant("first_seen_at"),
    # Which others have this key?
    Index("certificates_by_key", sa.text("(facts ->> 'spki_sha256')")),
)

looks = Table(
    "looks",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("discovery_id", String, ForeignKey("discoveries.id"), nullable=False),
    Column("page", Integer, nullable=False),
    Column("url", String, nullable=False),
    Column("algorithm", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("chain", ARRAY(String(64)), nullable=False),
    Column("detail", String, nullable=False, server_default=""),
    instant("at"),
    UniqueConstraint("discovery_id", "url", "algorithm", name="one_look_per_slot_and_discovery"),
)

judged_chains = Table(
    # What path building said of a chain: the same until the next date of one of its certificates, or another judge.
    "judged_chains",
    metadata,
    Column("chain_sha256", String(64), primary_key=True),
    Column("judged_by", String(64), nullable=False),
    instant("holds_from", required=False),
    instant("holds_until", required=False),
    Column("path", JSONB, nullable=False),
    Index("judged_chains_by_end", "holds_until"),
)

# Of terms: they say who issues it next, and to which targets it goes.
HAS_PLAN = "coalesce(jsonb_typeof(terms -> 'plan') = 'object', false)"

managed = Table(
    # Identity alone: what a managed certificate *is* lies in the read model below.
    "managed",
    metadata,
    Column("id", String, primary_key=True),
    Column("discovery_id", String, ForeignKey("discoveries.id"), nullable=False),
    # Every fingerprint that ever belonged to it, newest last.
    Column("fingerprints", ARRAY(String(64)), nullable=False),
    Column("names", ARRAY(String), nullable=False),
    Column("terms", JSONB, nullable=False),
    instant("adopted_at"),
    # The version of the policy that its terms were held against last, and not the one in them, under which they were
    # made: what is retired keeps its terms.  Rows of another policy are made anew, and no others are.
    Column("checked_under", String, nullable=False, server_default=""),
    Column("has_plan", Boolean, Computed(HAS_PLAN, persisted=True), nullable=False),
    Index("managed_by_policy", "has_plan", "checked_under", "id"),
    # Without the list of pending entries: adoption asks this index while it fills it.
    Index("managed_by_fingerprints", "fingerprints", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
)

# Of an endpoint's URL, as domain.certificate.Endpoint reads it: without brackets, port, query and path, lower case.
HOST = "lower(btrim(substring(url from '^[a-z+0-9]+://(\\[[^]]*\\]|[^]:/?#[]*)'), '[]'))"

slots = Table(
    "slots",
    metadata,
    Column("url", String, primary_key=True),
    Column("algorithm", String, primary_key=True),
    Column("managed_id", String, ForeignKey("managed.id"), nullable=False, index=True),
    Column("last_outcome", String, nullable=False),
    Column("last_fingerprint", String(64), nullable=False),
    instant("last_seen_at", required=False),
    instant("last_looked_at"),
    Column("misses", Integer, nullable=False, server_default="0"),
    # When the path that was served there last ends, and whether its chain was whole and led where it may: a chain
    # that changes under the same leaf is news.
    instant("last_ends_at", required=False),
    Column("last_chain_ok", Boolean, nullable=False, server_default="true"),
    # Why it is not, and whether it ends in a root that the policy names.
    Column("last_flaw", String, nullable=False, server_default=""),
    Column("last_rooted", Boolean, nullable=False, server_default="false"),
    # The newest discovery that looked there, and the newest that saw a certificate there.  What each of them found
    # holds: a place that is silent has lost nothing of what is wrong with it.
    Column("looked_in", String, nullable=False, server_default=""),
    Column("judged_in", String, nullable=False, server_default=""),
    # The kinds of these findings, and the certificate that they are of: filters ask these, for findings of every
    # discovery are kept.
    Column("found", ARRAY(String), nullable=False, server_default="{}"),
    Column("found_of", String(64), nullable=False, server_default=""),
    # The scanner asks what is known on the hosts of its page.
    Column("host", String, Computed(HOST, persisted=True), nullable=False),
    # The files of its deployment target under the policy of its owner's terms; NULL where it has none.
    Column("target_key", String, nullable=True),
    Column("target_chain", String, nullable=True),
    Index("slots_by_finding", "found", postgresql_using="gin"),
    Index("slots_by_host", "host"),
    Index("slots_by_certificate", "last_fingerprint"),
    Index("slots_by_target_key", "target_key", postgresql_where=sa.text("target_key IS NOT NULL")),
    Index("slots_by_target_chain", "target_chain", postgresql_where=sa.text("target_chain IS NOT NULL")),
)

notices = Table(
    # Written in the transaction of the change that it tells; sent means: Temporal acknowledged the signal.
    "notices",
    metadata,
    Column("id", String, primary_key=True),
    Column("managed_id", String, ForeignKey("managed.id"), nullable=False),
    Column("observation", JSONB, nullable=False),
    instant("written_at"),
    instant("sent_at", required=False),
    # The order of writing, which is the order of hearing; an identity column needs no right to its sequence.
    Column("number", BigInteger, Identity(), nullable=False),
    Index("unsent_notices", "number", postgresql_where=sa.text("sent_at IS NULL")),
    Index("notices_of_one", "managed_id", "number"),
)

findings = Table(
    "findings",
    metadata,
    Column("discovery_id", String, ForeignKey("discoveries.id"), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("url", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("severity", String, nullable=False),
    Column("detail", String, nullable=False),
)

# --- store.facts: what lifecycles recorded, and the read model it amounts to -----------------------------------
# (orders and receipts: store.orders; deliveries: store.deliveries; histories: store.histories)

stream_heads = Table(
    "stream_heads",
    metadata,
    Column("stream", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
)

events = Table(
    # Append-only: a trigger refuses update, delete and truncate.
    "events",
    metadata,
    Column("stream", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("kind", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("facts_sha256", LargeBinary, nullable=False),
    # The canonical bytes (RFC 8785 profile) and SHA-256(0x00 || bytes).
    Column("body", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    instant("at"),
    instant("recorded_at"),
    Index("events_by_time", "recorded_at"),
    Index(
        "orders_by_event",
        "kind",
        "stream",
        "seq",
        postgresql_where=sa.text("kind IN ('order_closed', 'order_revoked', 'certificate_issued')"),
    ),
)

streams_behind = Table(
    # Streams of which a lifecycle holds more than the store, which was put back: the next comparison makes it again.
    "streams_behind",
    metadata,
    Column("stream", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    instant("at"),
)

log_queue = Table(
    # Filled in the writer's own transaction; a later sequencer gives the global order.
    "log_queue",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("stream", String, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
)

managed_certificates = Table(
    "managed_certificates",
    metadata,
    Column("id", String, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("tier_reason", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("service", String, nullable=False),
    Column("subscribers", BigInteger, nullable=False),
    Column("issuer", String, nullable=False),
    Column("trust_class", String, nullable=False),
    Column("names", ARRAY(String), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    instant("not_before"),
    instant("not_after"),
    Column("severity", String, nullable=False),
    # 0 critical .. 4 cleared, so that severity sorts.
    Column("severity_rank", Integer, nullable=False),
    Column("next_action", String, nullable=False),
    instant("next_action_at", required=False),
    Column("escalated", Boolean, nullable=False),
    Column("endpoints", JSONB, nullable=False),
    Column("findings", ARRAY(String), nullable=False),
    Column("retired", Boolean, nullable=False),
    Column("placed", Boolean, nullable=False),
    # [{kind, asked_at, climbs_at, level, detail, about}]: what only a person can say.
    Column("questions", JSONB, nullable=False),
    instant("last_rung_at", required=False),
    instant("acknowledged_until", required=False),
    # [{level, about, last_at, quiet_until}]: the calls that can be acknowledged, each with what it is about.
    Column("calls", JSONB, nullable=False, server_default=sa.text("'[]'")),
    # [{fingerprint, whose, not_before, ends_at, place, count}]: every certificate that the ladder runs on.
    Column("served", JSONB, nullable=False, server_default=sa.text("'[]'")),
    # Why nothing can be decided now; empty where it can.
    Column("blocked_by", String, nullable=False, server_default=""),
    Column("seq", BigInteger, nullable=False),
    instant("updated_at"),
    # Lower case of everything that a free text is looked for in.
    Column("search", String, nullable=False),
    Index("managed_by_end", "not_after", "id"),
    # Whose present certificate is this?
    Index("managed_by_fingerprint", "fingerprint"),
    Index("managed_by_tier", "tier", "not_after", "id"),
    Index("managed_by_state", "state", "not_after", "id"),
    Index("managed_by_state_and_severity", "state", "severity_rank", "not_after", "id"),
    Index("managed_by_matrix", "tier", "placed", "severity", postgresql_where=sa.text("NOT retired")),
    Index("managed_that_live", "not_after", "id", postgresql_where=sa.text("NOT retired")),
    Index("managed_that_are_retired", "id", postgresql_where=sa.text("retired")),
    Index("managed_that_no_rule_places", "id", postgresql_where=sa.text("NOT placed")),
    # A count of what looks found reads every living one: this is a tenth of their rows' size.
    Index("managed_in_force", "id", "fingerprint", postgresql_where=sa.text("NOT retired")),
    Index("managed_with_findings", "id", postgresql_where=sa.text("findings <> '{}'")),
    Index("managed_by_next_action", "next_action_at", postgresql_where=sa.text("NOT retired")),
    Index("managed_by_service", "service", "not_after", "id"),
    Index("managed_by_owner", "owner", "not_after", "id"),
    Index("managed_by_issuer", "issuer", "not_after", "id"),
    Index("managed_by_name", sa.text("coalesce(names[1], '')"), "id"),
    Index("managed_by_text", "search", postgresql_using="gin", postgresql_ops={"search": "gin_trgm_ops"}),
    Index("managed_by_severity", "severity_rank", "not_after", "id"),
    # "Attention required": severity, then subscribers at risk, then time left.
    Index(
        "managed_by_stake",
        "severity_rank",
        sa.desc("subscribers"),
        "not_after",
        "id",
        postgresql_where=sa.text("NOT retired AND severity_rank <= 2"),
    ),
)

cases = Table(
    "cases",
    metadata,
    Column("managed_id", String, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("cause", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("order_key", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("requested_by", String, nullable=False, server_default=""),
    Column("approved_by", String, nullable=False, server_default=""),
    Column("failure", String, nullable=False, server_default=""),
    Column("rolled_back", Boolean, nullable=False, server_default="false"),
    instant("retry_at", required=False),
    instant("opened_at"),
    instant("closed_at", required=False),
    Index("cases_that_are_open", "managed_id", postgresql_where=sa.text("closed_at IS NULL")),
    Index("cases_by_close", "closed_at"),
)

lives = Table(
    # Every certificate that a managed certificate has had, one row per generation: the line of its lives, the backlog.
    "lives",
    metadata,
    Column("managed_id", String, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("issuer", String, nullable=False),
    instant("not_before"),
    instant("not_after"),
    # From when it was ours until the next generation, or the retirement, took its place.
    instant("began_at"),
    instant("ended_at", required=False),
    Index("lives_by_end", "not_after"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", String, primary_key=True),
    Column("managed_id", String, nullable=False, index=True),
    Column("generation", Integer, nullable=False),
    Column("case_number", Integer, nullable=False),
    Column("version", String, nullable=False),
    Column("plan", JSONB, nullable=False),
    Column("tier", String, nullable=False),
    Column("state", String, nullable=False),
    Column("escalated", Boolean, nullable=False),
    Column("decided_by", String, nullable=False, server_default=""),
    instant("asked_at"),
    instant("deadline"),
    instant("decided_at", required=False),
    Index("approvals_by_deadline", "state", "deadline", "id"),
)

orders = Table(
    "orders",
    metadata,
    Column("order_key", String, primary_key=True),
    Column("managed_id", String, nullable=False, index=True),
    Column("plan", JSONB, nullable=False),
    Column("approved_by", String, nullable=False),
    Column("key_id", String, nullable=False),
    Column("csr", LargeBinary, nullable=False),
    # placed -> issued | failed; installed chains are kept for as long as the order is.
    Column("state", String, nullable=False),
    Column("chain", ARRAY(LargeBinary), nullable=True),
    Column("fingerprint", String(64), nullable=True, unique=True),
    Column("detail", String, nullable=False, server_default=""),
    # OrderOutcome.cause: "issuer-ends-first" where a later order to the same issuer would fail alike.
    Column("cause", String, nullable=False, server_default=""),
    instant("placed_at"),
    instant("closed_at", required=False),
)

receipts = Table(
    # What a target said when a certificate was put there; `previous` is what it served before.
    "receipts",
    metadata,
    Column("order_key", String, primary_key=True),
    Column("url", String, primary_key=True),
    Column("algorithm", String, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("outcome", String, nullable=False),
    Column("detail", String, nullable=False),
    instant("at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("managed_id", String, nullable=False),
    Column("person", String, nullable=False),
    Column("channel", String, primary_key=True),
    Column("level", String, nullable=False),
    Column("topic", String, nullable=False),
    # queued -> delivered | undeliverable
    Column("state", String, nullable=False),
    Column("detail", String, nullable=False, server_default=""),
    # domain.contracts.Message, so that another Courier can send it where the first one is gone.
    Column("message", JSONB, nullable=True),
    instant("queued_at"),
    instant("finished_at", required=False),
    Index("deliveries_that_wait", "queued_at", postgresql_where=sa.text("state = 'queued'")),
)

# --- store.reconciliations: how inventory and engine compared --------------------------------------------------

reconciliations = Table(
    "reconciliations",
    metadata,
    Column("id", String, primary_key=True),
    Column("workflow_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    # Not applied: somebody asked what differs, and nothing was changed.
    Column("applied", Boolean, nullable=False),
    Column("living", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    # {kind: how many}, and the first of them: [{kind, managed_id, name, detail, told}].
    Column("counts", JSONB, nullable=False),
    Column("differences", JSONB, nullable=False),
    # Since when our CAs sign nothing, because the store was put back; NULL: they may.
    instant("held_since", required=False),
    instant("began_at"),
    # The person, or the machine, that asked for it; empty: the Schedule.
    Column("asked_by", String, nullable=False, server_default=""),
    # By the database's clock; which is the newest the number says, whatever any clock does.
    instant("noted_at"),
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Index("reconciliations_by_time", "noted_at"),
    Index("reconciliations_in_order", "number", unique=True),
)

differences = Table(
    # What the last comparison saw that does not mend itself: told at the second sight, and once.
    "differences",
    metadata,
    Column("kind", String, primary_key=True),
    Column("managed_id", String, primary_key=True),
    Column("comparison_id", String, nullable=False),
    Column("told", Boolean, nullable=False),
    Index("differences_by_certificate", "managed_id"),
)

histories = Table(
    "histories",
    metadata,
    Column("workflow_id", String, primary_key=True),
    Column("run_id", String, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("release", String, nullable=False),
    Column("events", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    # gzip of the JSON that the replayer accepts.
    Column("body", LargeBinary, nullable=False),
    instant("archived_at"),
)

# --- store.changes: what pages must show anew ------------------------------------------------------------------

CHANGES_CHANNEL = "everleaf_changes"

changes = Table(
    "changes",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    # The writing transaction: readers take only what is below the oldest one that still runs, so none comes late.
    Column("xid", BigInteger, nullable=False, server_default=sa.text("pg_current_xact_id()::text::bigint")),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    instant("at"),
    Index("changes_by_place", "xid", "id"),
    Index("changes_by_time", "at"),
)

# --- store.heartbeats: that each process lives, written by its own loop ------------------------------------------

heartbeats = Table(
    "heartbeats",
    metadata,
    # The queues that it serves, or `api`; with its host one row, which each beat writes anew.
    Column("serves", ARRAY(String), primary_key=True),
    Column("host", String, primary_key=True),
    # By its own clock, and by the database's: they differ where a clock is wrong.
    instant("said_at"),
    instant("written_at"),
    # By its own clock: when Temporal last answered it, and when it last asked for work.
    instant("engine_at", required=False),
    instant("polled_at", required=False),
    # {running, ended, failing}: what it counted in Temporal; NULL where it does not count.
    Column("engine", JSONB, nullable=True),
)

# --- store.custody: wrapped leaf keys (the deploy worker alone) ------------------------------------------------

keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("order_key", String, nullable=False, unique=True),
    Column("spki_sha256", String(64), nullable=False),
    # AES-256-GCM under leaf.kek, the id as associated data; NULL once destroyed.
    Column("wrapped", LargeBinary, nullable=True),
    instant("made_at"),
)

# --- store.ca: what our CAs signed and revoked (the issue worker alone) ----------------------------------------

ca_authorities = Table(
    "ca_authorities",
    metadata,
    Column("name", String, primary_key=True),
    Column("parent", String, nullable=False, server_default=""),
    Column("certificate", LargeBinary, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("crl_number", BigInteger, nullable=False, server_default="0"),
    instant("made_at"),
)

ca_issued = Table(
    "ca_issued",
    metadata,
    Column("order_key", String, primary_key=True),
    Column("ca", String, ForeignKey("ca_authorities.name"), nullable=False),
    Column("serial", String, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("csr_sha256", String(64), nullable=False),
    # The intent, committed before the CA key is touched; `der` is the one certificate that is ever released.
    Column("tbs", LargeBinary, nullable=False),
    Column("der", LargeBinary, nullable=True),
    instant("intended_at"),
    instant("signed_at", required=False),
    instant("revoked_at", required=False),
    Column("revocation_reason", String, nullable=False, server_default=""),
    UniqueConstraint("ca", "serial", name="one_certificate_per_serial"),
    UniqueConstraint("ca", "number", name="gap_free_number_per_ca"),
)

ca_crls = Table(
    "ca_crls",
    metadata,
    Column("ca", String, ForeignKey("ca_authorities.name"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("der", LargeBinary, nullable=False),
    instant("made_at"),
)

# --- store.access: people, tokens, warrants ---------------------------------------------------------------------

people = Table(
    "people",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("email", String, nullable=False),
    Column("role", String, nullable=False),
    instant("since"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    # SHA-256 of the token: 256 random bits need no slow hash.
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("person", String, nullable=False, server_default=""),
    Column("may_decide", Boolean, nullable=False),
    instant("made_at"),
    instant("expires_at", required=False),
    instant("revoked_at", required=False),
    instant("last_used_at", required=False),
)

login_links = Table(
    "login_links",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("role", String, nullable=False),
    Column("person", String, nullable=False),
    instant("made_at"),
    instant("expires_at"),
    instant("used_at", required=False),
)

sessions = Table(
    # Browser sessions: the cookie's hash; who it is, and until when at the latest.
    "sessions",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("person", String, nullable=False),
    instant("made_at"),
    instant("seen_at"),
    instant("expires_at"),
    instant("ended_at", required=False),
)

warrants = Table(
    "warrants",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("actor", String, nullable=False),
    Column("role", String, nullable=False),
    Column("managed_id", String, nullable=False),
    Column("message", String, nullable=False),
    # 0 and empty: not bound to a case (renew_now, retire ...).
    Column("case_number", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("plan_version", String, nullable=False),
    instant("made_at"),
    instant("expires_at"),
    Column("redeemed_by", String, nullable=False, server_default=""),
    instant("redeemed_at", required=False),
    # Why its redemption was refused, so that a repetition hears the same; empty: it was allowed.
    Column("refusal", String, nullable=False, server_default=""),
    CheckConstraint("(redeemed_by = '') = (redeemed_at IS NULL)", name="redeemed_means_by_and_at"),
)

comments = Table(
    "comments",
    metadata,
    Column("id", String, primary_key=True),
    Column("managed_id", String, nullable=False, index=True),
    Column("about", String, nullable=False),
    Column("by", String, nullable=False),
    Column("text", String, nullable=False),
    # What it came with was taken; until then, and where that was refused, it is shown beside no decision.
    Column("said", Boolean, nullable=False, server_default="false"),
    instant("at"),
)

requests = Table(
    # One row for each idempotency key; what came with it, by its hash alone.
    "requests",
    metadata,
    Column("id", String, primary_key=True),
    Column("meant_sha256", LargeBinary, nullable=False),
    instant("at"),
    Index("requests_by_time", "at"),
)

uploads = Table(
    # Certificates brought by people as the answer of a manual issuer, judged before they count.
    "uploads",
    metadata,
    Column("id", String, primary_key=True),
    Column("order_key", String, nullable=False, index=True),
    Column("chain", ARRAY(LargeBinary), nullable=False),
    Column("by", String, nullable=False),
    instant("at"),
)

security_events = Table(
    "security_events",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("detail", String, nullable=False),
    instant("at"),
)

policies = Table(
    "policies",
    metadata,
    Column("version", String, primary_key=True),
    Column("text", String, nullable=False),
    instant("at"),
    # The last time that a worker took it up, in whose order `last_policy` finds the one that holds.
    # With a default: workers of 0.2.0 write here without it while both releases run.
    Column("in_force_at", DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    Index("policies_by_force", "in_force_at"),
)
