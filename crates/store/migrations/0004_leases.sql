-- Which replica works on a zone; an empty holder: none. Leases only spare calls: versions guard the writes.
CREATE TABLE leases (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    zone TEXT NOT NULL,
    holder TEXT NOT NULL,
    heartbeat BIGINT NOT NULL,
    PRIMARY KEY (account_id, zone)
);

-- When all rows were moved to another database: this one must not be used any more.
CREATE TABLE moved (
    at BIGINT NOT NULL
);
