-- The `Idempotency-Key` of a request that made an instance: the same request again gets this instance, not another one.
-- `fingerprint`: SHA-256 of what was asked, so that another request with the same key is told apart.
CREATE TABLE idempotency_keys (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    idempotency_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, idempotency_key)
);
