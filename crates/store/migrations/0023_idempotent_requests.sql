-- Requests with an `Idempotency-Key`, other than those that create instances.
CREATE TABLE idempotent_requests (
    idempotency_key TEXT PRIMARY KEY,
    -- Identifies the request: another request with the same key is an error.
    fingerprint TEXT NOT NULL,
    -- The bits of the id of what the request creates: carried out again, it creates nothing twice.
    seed TEXT NOT NULL,
    -- Who carries the request out, and since when.
    claim TEXT NOT NULL,
    claimed_at BIGINT NOT NULL,
    -- The response, sealed: it may contain the value of an API key. NULL: the request is in progress.
    sealed_response TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX idempotent_requests_by_age ON idempotent_requests (created_at);
