-- What was planned, for requests that name a plan. Kept for a day.
CREATE TABLE plans (
    id TEXT PRIMARY KEY,
    -- Identifies the request that was planned.
    fingerprint TEXT NOT NULL,
    agreed_json TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX plans_by_age ON plans (created_at);
