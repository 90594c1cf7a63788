-- Whether our name and tags are on a resource: what somebody else takes away is noticed, and put back.
ALTER TABLE instance_servers ADD COLUMN tagged_at BIGINT;
ALTER TABLE instance_servers ADD COLUMN tags_shown BIGINT NOT NULL DEFAULT 0;
ALTER TABLE instance_volumes ADD COLUMN tags_shown BIGINT NOT NULL DEFAULT 0;
UPDATE instance_servers SET tagged_at = answered_at WHERE provider_server_id IS NOT NULL;

-- What an audit found to be ours and wanted by nobody, and that an operator chose to have deleted: not before `until_at`.
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

-- What an operator asked the next audit to do, and what came of it.
ALTER TABLE audits ADD COLUMN request_json TEXT;

-- Accounts that an operator has taken off the list. Their rows stay.
ALTER TABLE provider_accounts ADD COLUMN removed_at BIGINT;
