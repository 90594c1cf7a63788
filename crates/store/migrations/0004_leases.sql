-- Which of several replicas works on a zone; an empty holder: nobody. Spares calls: what is written is guarded by versions.
CREATE TABLE leases (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    zone TEXT NOT NULL,
    holder TEXT NOT NULL,
    heartbeat BIGINT NOT NULL,
    PRIMARY KEY (account_id, zone)
);

-- When every row moved to another database: this one is not to be worked upon any more.
CREATE TABLE moved (
    at BIGINT NOT NULL
);
