-- What operators are told, and the URLs that it is sent to.

-- Instances that failed, and those whose end was requested because their time was over: read often, for alerts.
CREATE INDEX instances_failed ON instances (terminated_at) WHERE failure_json IS NOT NULL;
CREATE INDEX instances_ending ON instances (expires_at) WHERE expires_at IS NOT NULL AND desired <> 'absent';
CREATE INDEX instances_expired ON instances (expires_at) WHERE expires_at IS NOT NULL AND desired = 'absent';

CREATE TABLE alerts (
    -- Identifies the condition.
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    about TEXT NOT NULL,
    text TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    -- NULL: it is open.
    resolved_at BIGINT
);
CREATE INDEX alerts_open ON alerts (key) WHERE resolved_at IS NULL;
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- URL and signing secret, sealed: a URL may contain a secret, too.
    sealed TEXT NOT NULL,
    -- The part of the URL that may be shown.
    shown_url TEXT NOT NULL,
    -- The kinds of alerts that are sent, each between commas; empty: all.
    kinds TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Messages to webhooks.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    webhook_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- How often it was sent.
    attempts BIGINT NOT NULL,
    -- When it is sent next; NULL: not any more.
    next_at BIGINT,
    -- When it was accepted.
    delivered_at BIGINT,
    -- When it was accepted or given up.
    ended_at BIGINT,
    -- Why the last attempt failed.
    error TEXT
);
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
