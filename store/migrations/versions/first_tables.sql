-- The tables of release 0.1.0, as they were; frozen. What changed since is a revision of its own.

CREATE TABLE approvals (
    id VARCHAR NOT NULL,
    managed_id VARCHAR NOT NULL,
    generation INTEGER NOT NULL,
    case_number INTEGER NOT NULL,
    version VARCHAR NOT NULL,
    plan JSONB NOT NULL,
    tier VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    escalated BOOLEAN NOT NULL,
    decided_by VARCHAR DEFAULT '' NOT NULL,
    asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deadline TIMESTAMP WITH TIME ZONE NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id)
);
CREATE INDEX approvals_by_deadline ON approvals (state, deadline, id);
CREATE INDEX ix_approvals_managed_id ON approvals (managed_id);

CREATE TABLE ca_authorities (
    name VARCHAR NOT NULL,
    parent VARCHAR DEFAULT '' NOT NULL,
    certificate BYTEA NOT NULL,
    wrapped_key BYTEA NOT NULL,
    crl_number BIGINT DEFAULT '0' NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE cases (
    managed_id VARCHAR NOT NULL,
    generation INTEGER NOT NULL,
    number INTEGER NOT NULL,
    cause VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    order_key VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    requested_by VARCHAR DEFAULT '' NOT NULL,
    approved_by VARCHAR DEFAULT '' NOT NULL,
    failure VARCHAR DEFAULT '' NOT NULL,
    rolled_back BOOLEAN DEFAULT 'false' NOT NULL,
    retry_at TIMESTAMP WITH TIME ZONE,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (managed_id, generation, number)
);
CREATE INDEX cases_by_close ON cases (closed_at);
CREATE INDEX cases_that_are_open ON cases (managed_id) WHERE closed_at IS NULL;

CREATE TABLE certificates (
    fingerprint VARCHAR(64) NOT NULL,
    der BYTEA NOT NULL,
    facts JSONB,
    not_after TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (fingerprint)
);

CREATE TABLE changes (
    id BIGSERIAL NOT NULL,
    xid BIGINT DEFAULT pg_current_xact_id()::text::bigint NOT NULL,
    kind VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX changes_by_place ON changes (xid, id);
CREATE INDEX changes_by_time ON changes (at);

CREATE TABLE comments (
    id VARCHAR NOT NULL,
    managed_id VARCHAR NOT NULL,
    about VARCHAR NOT NULL,
    by VARCHAR NOT NULL,
    text VARCHAR NOT NULL,
    said BOOLEAN DEFAULT 'false' NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_comments_managed_id ON comments (managed_id);

CREATE TABLE deliveries (
    message_id VARCHAR NOT NULL,
    managed_id VARCHAR NOT NULL,
    person VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    level VARCHAR NOT NULL,
    topic VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    detail VARCHAR DEFAULT '' NOT NULL,
    queued_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (message_id, channel)
);

CREATE TABLE discoveries (
    id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    scope JSONB NOT NULL,
    pages INTEGER DEFAULT '0' NOT NULL,
    targets INTEGER DEFAULT '0' NOT NULL,
    report JSONB,
    detail VARCHAR DEFAULT '' NOT NULL,
    workflow_id VARCHAR DEFAULT '' NOT NULL,
    run_id VARCHAR DEFAULT '' NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id)
);

CREATE TABLE events (
    stream VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    cause VARCHAR NOT NULL,
    facts_sha256 BYTEA NOT NULL,
    body BYTEA NOT NULL,
    leaf_hash BYTEA NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (stream, seq)
);
CREATE INDEX events_by_time ON events (recorded_at);

CREATE TABLE histories (
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    generation INTEGER NOT NULL,
    release VARCHAR NOT NULL,
    events INTEGER NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    body BYTEA NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (workflow_id, run_id)
);

CREATE TABLE keys (
    id VARCHAR NOT NULL,
    order_key VARCHAR NOT NULL,
    spki_sha256 VARCHAR(64) NOT NULL,
    wrapped BYTEA,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (order_key)
);

CREATE TABLE lives (
    managed_id VARCHAR NOT NULL,
    generation INTEGER NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    issuer VARCHAR NOT NULL,
    not_before TIMESTAMP WITH TIME ZONE NOT NULL,
    not_after TIMESTAMP WITH TIME ZONE NOT NULL,
    began_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (managed_id, generation)
);
CREATE INDEX lives_by_end ON lives (not_after);

CREATE TABLE log_queue (
    id BIGSERIAL NOT NULL,
    stream VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    leaf_hash BYTEA NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE login_links (
    sha256 BYTEA NOT NULL,
    role VARCHAR NOT NULL,
    person VARCHAR NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (sha256)
);

CREATE TABLE managed_certificates (
    id VARCHAR NOT NULL,
    generation INTEGER NOT NULL,
    state VARCHAR NOT NULL,
    tier VARCHAR NOT NULL,
    tier_reason VARCHAR NOT NULL,
    owner VARCHAR NOT NULL,
    service VARCHAR NOT NULL,
    subscribers BIGINT NOT NULL,
    issuer VARCHAR NOT NULL,
    trust_class VARCHAR NOT NULL,
    names VARCHAR[] NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    not_before TIMESTAMP WITH TIME ZONE NOT NULL,
    not_after TIMESTAMP WITH TIME ZONE NOT NULL,
    severity VARCHAR NOT NULL,
    severity_rank INTEGER NOT NULL,
    next_action VARCHAR NOT NULL,
    next_action_at TIMESTAMP WITH TIME ZONE,
    escalated BOOLEAN NOT NULL,
    endpoints JSONB NOT NULL,
    findings VARCHAR[] NOT NULL,
    retired BOOLEAN NOT NULL,
    placed BOOLEAN NOT NULL,
    questions JSONB NOT NULL,
    last_rung_at TIMESTAMP WITH TIME ZONE,
    acknowledged_until TIMESTAMP WITH TIME ZONE,
    seq BIGINT NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    search VARCHAR NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX managed_by_end ON managed_certificates (not_after, id);
CREATE INDEX managed_by_issuer ON managed_certificates (issuer, not_after, id);
CREATE INDEX managed_by_matrix ON managed_certificates (tier, placed, severity) WHERE NOT retired;
CREATE INDEX managed_by_name ON managed_certificates (coalesce(names[1], ''), id);
CREATE INDEX managed_by_next_action ON managed_certificates (next_action_at) WHERE NOT retired;
CREATE INDEX managed_by_owner ON managed_certificates (owner, not_after, id);
CREATE INDEX managed_by_service ON managed_certificates (service, not_after, id);
CREATE INDEX managed_by_severity ON managed_certificates (severity_rank, not_after, id);
CREATE INDEX managed_by_stake ON managed_certificates (severity_rank, subscribers DESC, not_after, id) WHERE NOT retired AND severity_rank <= 2;
CREATE INDEX managed_by_state ON managed_certificates (state, not_after, id);
CREATE INDEX managed_by_state_and_severity ON managed_certificates (state, severity_rank, not_after, id);
CREATE INDEX managed_by_text ON managed_certificates USING gin (search gin_trgm_ops);
CREATE INDEX managed_by_tier ON managed_certificates (tier, not_after, id);
CREATE INDEX managed_in_force ON managed_certificates (id, fingerprint) WHERE NOT retired;
CREATE INDEX managed_that_are_retired ON managed_certificates (id) WHERE retired;
CREATE INDEX managed_that_live ON managed_certificates (not_after, id) WHERE NOT retired;
CREATE INDEX managed_that_no_rule_places ON managed_certificates (id) WHERE NOT placed;
CREATE INDEX managed_with_findings ON managed_certificates (id) WHERE findings <> '{}';

CREATE TABLE orders (
    order_key VARCHAR NOT NULL,
    managed_id VARCHAR NOT NULL,
    plan JSONB NOT NULL,
    approved_by VARCHAR NOT NULL,
    key_id VARCHAR NOT NULL,
    csr BYTEA NOT NULL,
    state VARCHAR NOT NULL,
    chain BYTEA[],
    fingerprint VARCHAR(64),
    detail VARCHAR DEFAULT '' NOT NULL,
    cause VARCHAR DEFAULT '' NOT NULL,
    placed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (order_key),
    UNIQUE (fingerprint)
);
CREATE INDEX ix_orders_managed_id ON orders (managed_id);

CREATE TABLE people (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    email VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE policies (
    version VARCHAR NOT NULL,
    text VARCHAR NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (version)
);

CREATE TABLE receipts (
    order_key VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    algorithm VARCHAR NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    previous VARCHAR(64) NOT NULL,
    outcome VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (order_key, url, algorithm)
);

CREATE TABLE requests (
    id VARCHAR NOT NULL,
    meant_sha256 BYTEA NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX requests_by_time ON requests (at);

CREATE TABLE security_events (
    id BIGSERIAL NOT NULL,
    kind VARCHAR NOT NULL,
    actor VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE sessions (
    sha256 BYTEA NOT NULL,
    id VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    person VARCHAR NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (sha256),
    UNIQUE (id)
);

CREATE TABLE stream_heads (
    stream VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    leaf_hash BYTEA NOT NULL,
    PRIMARY KEY (stream)
);

CREATE TABLE tokens (
    id VARCHAR NOT NULL,
    sha256 BYTEA NOT NULL,
    name VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    person VARCHAR DEFAULT '' NOT NULL,
    may_decide BOOLEAN NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (sha256)
);

CREATE TABLE uploads (
    id VARCHAR NOT NULL,
    order_key VARCHAR NOT NULL,
    chain BYTEA[] NOT NULL,
    by VARCHAR NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_uploads_order_key ON uploads (order_key);

CREATE TABLE warrants (
    sha256 BYTEA NOT NULL,
    actor VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    managed_id VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    case_number INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    plan_version VARCHAR NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    redeemed_by VARCHAR DEFAULT '' NOT NULL,
    redeemed_at TIMESTAMP WITH TIME ZONE,
    refusal VARCHAR DEFAULT '' NOT NULL,
    PRIMARY KEY (sha256),
    CONSTRAINT redeemed_means_by_and_at CHECK ((redeemed_by = '') = (redeemed_at IS NULL))
);

CREATE TABLE ca_crls (
    ca VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    der BYTEA NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (ca, number),
    FOREIGN KEY(ca) REFERENCES ca_authorities (name)
);

CREATE TABLE ca_issued (
    order_key VARCHAR NOT NULL,
    ca VARCHAR NOT NULL,
    serial VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    csr_sha256 VARCHAR(64) NOT NULL,
    tbs BYTEA NOT NULL,
    der BYTEA,
    intended_at TIMESTAMP WITH TIME ZONE NOT NULL,
    signed_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    revocation_reason VARCHAR DEFAULT '' NOT NULL,
    PRIMARY KEY (order_key),
    CONSTRAINT one_certificate_per_serial UNIQUE (ca, serial),
    CONSTRAINT gap_free_number_per_ca UNIQUE (ca, number),
    FOREIGN KEY(ca) REFERENCES ca_authorities (name)
);

CREATE TABLE findings (
    discovery_id VARCHAR NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    url VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    PRIMARY KEY (discovery_id, fingerprint, url, kind),
    FOREIGN KEY(discovery_id) REFERENCES discoveries (id)
);

CREATE TABLE looks (
    id BIGSERIAL NOT NULL,
    discovery_id VARCHAR NOT NULL,
    page INTEGER NOT NULL,
    url VARCHAR NOT NULL,
    algorithm VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    chain VARCHAR(64)[] NOT NULL,
    detail VARCHAR DEFAULT '' NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_look_per_slot_and_discovery UNIQUE (discovery_id, url, algorithm),
    FOREIGN KEY(discovery_id) REFERENCES discoveries (id)
);

CREATE TABLE managed (
    id VARCHAR NOT NULL,
    discovery_id VARCHAR NOT NULL,
    fingerprints VARCHAR(64)[] NOT NULL,
    names VARCHAR[] NOT NULL,
    terms JSONB NOT NULL,
    adopted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(discovery_id) REFERENCES discoveries (id)
);

CREATE TABLE notices (
    id VARCHAR NOT NULL,
    managed_id VARCHAR NOT NULL,
    observation JSONB NOT NULL,
    written_at TIMESTAMP WITH TIME ZONE NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(managed_id) REFERENCES managed (id)
);
CREATE INDEX unsent_notices ON notices (written_at) WHERE sent_at IS NULL;

CREATE TABLE slots (
    url VARCHAR NOT NULL,
    algorithm VARCHAR NOT NULL,
    managed_id VARCHAR NOT NULL,
    last_outcome VARCHAR NOT NULL,
    last_fingerprint VARCHAR(64) NOT NULL,
    last_seen_at TIMESTAMP WITH TIME ZONE,
    last_looked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    misses INTEGER DEFAULT '0' NOT NULL,
    last_ends_at TIMESTAMP WITH TIME ZONE,
    last_chain_ok BOOLEAN DEFAULT 'true' NOT NULL,
    looked_in VARCHAR DEFAULT '' NOT NULL,
    found VARCHAR[] DEFAULT '{}' NOT NULL,
    found_of VARCHAR(64) DEFAULT '' NOT NULL,
    PRIMARY KEY (url, algorithm),
    FOREIGN KEY(managed_id) REFERENCES managed (id)
);
CREATE INDEX ix_slots_managed_id ON slots (managed_id);
CREATE INDEX slots_by_finding ON slots USING gin (found);
