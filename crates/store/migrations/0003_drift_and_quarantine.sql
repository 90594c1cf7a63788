-- Whether a resource has our name and tags: third-party changes are detected and reverted.
ALTER TABLE instance_servers ADD COLUMN tagged_at BIGINT;
ALTER TABLE instance_servers ADD COLUMN tags_shown BIGINT NOT NULL DEFAULT 0;
ALTER TABLE instance_volumes ADD COLUMN tags_shown BIGINT NOT NULL DEFAULT 0;
UPDATE instance_servers SET tagged_at = answered_at WHERE provider_server_id IS NOT NULL;

-- Orphans that an audit found and the orphan policy deletes, not before `until_at`.
CREATE TABLE quarantine (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    zone TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    name TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    found_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, zone, provider_id)
);

-- What an operator requested of the next audit.
ALTER TABLE audits ADD COLUMN request_json TEXT;

-- When an operator removed the account from the list. Its rows stay.
ALTER TABLE provider_accounts ADD COLUMN removed_at BIGINT;
