-- The `Idempotency-Key` of a request that created an instance: a repeated request returns this instance.
-- `fingerprint`: SHA-256 of the request, to detect another request with the same key.
CREATE TABLE idempotency_keys (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    idempotency_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, idempotency_key)
);
