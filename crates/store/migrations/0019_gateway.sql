-- Services, the keys of the gateway, and what is counted there.
CREATE TABLE services (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    account_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    model_id TEXT NOT NULL,
    desired TEXT NOT NULL,
    spec_json TEXT NOT NULL,
    revision BIGINT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    state_json TEXT NOT NULL,
    warm_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX services_name ON services (name) WHERE deleted_at IS NULL;

-- The service that an instance belongs to; NULL: to none.
ALTER TABLE instances ADD COLUMN service_id TEXT;
CREATE INDEX instances_of_service ON instances (service_id, id) WHERE service_id IS NOT NULL;

-- Keys of the gateway. Only the hash of a key is stored.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    -- The services and models that it may use, as a JSON array of strings; empty: all.
    scopes_json TEXT NOT NULL,
    requests_per_minute BIGINT,
    tokens_per_minute BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT
);

-- What each replica of the control plane sees of a service.
CREATE TABLE service_load (
    service_id TEXT NOT NULL REFERENCES services (id),
    replica TEXT NOT NULL,
    outstanding BIGINT NOT NULL,
    queued BIGINT NOT NULL,
    last_request_at BIGINT,
    reported_at BIGINT NOT NULL,
    PRIMARY KEY (service_id, replica)
);

-- Requests and tokens of a key in one minute, for its limits. Kept for some minutes.
CREATE TABLE key_minutes (
    key_id TEXT NOT NULL,
    minute BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    PRIMARY KEY (key_id, minute)
);

-- What was used, by hour. An empty `service_id`: an instance that belongs to no service, or no instance at all.
CREATE TABLE usage_hours (
    hour BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    service_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    model TEXT NOT NULL,
    requests BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    first_token_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    PRIMARY KEY (hour, key_id, service_id, instance_id, model)
);
