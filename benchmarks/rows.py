"""SQL that fills a database with the certificates of an operator, in the proportions of one; ``:count`` of them."""

# One row of the read model in the proportions of an operator: a tenth asks, a hundredth is late, a thousandth expired.
FILL = """
INSERT INTO managed_certificates (id, generation, state, tier, tier_reason, owner, service, subscribers, issuer,
  trust_class, names, fingerprint, not_before, not_after, severity, severity_rank, next_action, next_action_at,
  escalated, endpoints, findings, retired, placed, questions, search, seq, updated_at)
SELECT 'mc-' || lpad(i::text, 8, '0'), 1 + i % 5,
  CASE WHEN i % 10 = 0 THEN 'awaiting-approval' ELSE 'sleeping' END,
  (ARRAY['customer-facing', 'network-critical', 'internal'])[1 + i % 3], 'rule ' || i % 17,
  'owner-' || i % 83, 'service-' || i % 211, (i % 211) * 20000, 'CN=Issuing CA ' || i % 9,
  CASE WHEN i % 3 = 2 THEN 'private' ELSE 'public' END,
  ARRAY['host-' || i || '.zone-' || i % 97 || '.operator.example', 'alias-' || i || '.operator.example'],
  md5(i::text) || md5('x' || i), now() - interval '100 days',
  now() + make_interval(secs => (i::bigint * 7919 % 34560000) - 34560),
  (ARRAY['critical', 'major', 'minor', 'warning', 'cleared'])[rank], rank - 1, 'the renewal case opens',
  now() + make_interval(secs => i % 8640000 + 60), i % 100 = 0,
  jsonb_build_array(jsonb_build_object('url', 'tls://10.0.0.1:443?sni=host-' || i, 'algorithm', 'ecdsa',
    'last_seen_fingerprint', md5(i::text) || md5('x' || i), 'last_seen_at', '2026-11-24T00:00:00Z', 'matches', true)),
  ARRAY[]::text[], false, i % 500 <> 0, '[]'::jsonb,
  'host-' || i || '.zone-' || i % 97 || '.operator.example' || chr(10) || 'owner-' || i % 83 || chr(10)
    || 'service-' || i % 211,
  5, now()
FROM (SELECT i, CASE WHEN i % 1000 = 0 THEN 1 WHEN i % 100 = 0 THEN 2 WHEN i % 10 = 0 THEN 3
                     WHEN i % 7 = 0 THEN 4 ELSE 5 END AS rank
      FROM generate_series(1, :count) AS i) AS numbered
"""
CASES = """
INSERT INTO cases (managed_id, generation, number, cause, stage, order_key, outcome, opened_at)
SELECT id, generation, 1, 'lead-time', 'awaiting-approval', '', '', now() - interval '3 days'
FROM managed_certificates WHERE state = 'awaiting-approval'
"""
APPROVALS = """
INSERT INTO approvals
  (id, managed_id, generation, case_number, version, plan, tier, state, escalated, asked_at, deadline)
SELECT id || '.1', id, generation, 1, 'v', '{"names": []}'::jsonb, tier, 'pending', escalated, now(), not_after
FROM managed_certificates WHERE state = 'awaiting-approval'
"""
LIVES = """
INSERT INTO lives (managed_id, generation, fingerprint, issuer, not_before, not_after, began_at)
SELECT id, generation, fingerprint, issuer, not_before, not_after, now() - interval '40 days' FROM managed_certificates
"""
# What thirty daily discoveries found: one in nine has a weak key, one in fifty a wrong name, in the newest of them.
DISCOVERIES = """
INSERT INTO discoveries (id, source, state, scope, started_at, finished_at)
SELECT 'd-' || i, 'schedule', 'adopted', '{}'::jsonb, now() - make_interval(days => i), now() - make_interval(days => i)
FROM generate_series(1, 30) AS i
"""
MANAGED = """
INSERT INTO managed (id, discovery_id, fingerprints, names, terms, adopted_at)
SELECT id, 'd-30', ARRAY[fingerprint], names, '{}'::jsonb, now() FROM managed_certificates
"""
SLOTS = """
INSERT INTO slots
  (url, algorithm, managed_id, last_outcome, last_fingerprint, last_looked_at, looked_in, judged_in, found_of, found)
SELECT 'tls://' || id, 'ecdsa', id, 'seen', fingerprint, now(), 'd-1', 'd-1', fingerprint,
  CASE WHEN hashtext(id) % 9 = 0 THEN ARRAY['weak key'] ELSE ARRAY[]::text[] END
    || CASE WHEN hashtext(id) % 50 = 0 THEN ARRAY['wrong name'] ELSE ARRAY[]::text[] END
FROM managed_certificates
"""
FINDINGS = """
INSERT INTO findings (discovery_id, fingerprint, url, kind, severity, detail)
SELECT 'd-' || day, fingerprint, 'tls://' || id, kind, 'warning', 'of the benchmark'
FROM (SELECT id, fingerprint, hashtext(id) AS hash FROM managed_certificates) AS each,
  generate_series(1, 30) AS day, unnest(ARRAY['weak key', 'wrong name']) AS kind
WHERE CASE kind WHEN 'weak key' THEN hash % 9 ELSE hash % 50 END = 0
"""

ALL = (FILL, CASES, APPROVALS, LIVES, DISCOVERIES, MANAGED, SLOTS, FINDINGS)
