-- The last audit of each zone, and whether a new one was requested.
CREATE TABLE audits (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    zone TEXT NOT NULL,
    requested_at BIGINT,
    begun_at BIGINT,
    ended_at BIGINT,
    report_json TEXT,
    PRIMARY KEY (account_id, zone)
);

-- Which instance owns a resource that the cloud shows?
CREATE INDEX instance_servers_resource ON instance_servers (provider_server_id);
CREATE INDEX instance_volumes_provider ON instance_volumes (provider_volume_id);
-- Which servers were being created at a given time?
CREATE INDEX instance_servers_prepared ON instance_servers (account_id, zone, intended_at);
-- Which creations are unconfirmed, and what is not proven gone yet?
CREATE INDEX instance_servers_doubt ON instance_servers (account_id, intended_at)
    WHERE create_state IN ('intended', 'unconfirmed');
CREATE INDEX instance_volumes_doubt ON instance_volumes (account_id, created_at)
    WHERE create_state IN ('intended', 'unconfirmed');
CREATE INDEX instance_servers_leaving ON instance_servers (account_id, delete_intended_at) WHERE gone_at IS NULL;
CREATE INDEX instance_volumes_leaving ON instance_volumes (account_id, delete_intended_at) WHERE deleted_at IS NULL;
