-- The same SQL for SQLite and PostgreSQL: TEXT and BIGINT only. Times are microseconds since 1970 (UTC), sizes are
-- bytes, money is millionths; flags are 0 or 1; columns that end in _json hold JSON that is never searched.

CREATE TABLE provider_accounts (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    project_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- When an operator removed the account from the list. Its rows stay.
    removed_at BIGINT,
    UNIQUE (provider, project_id)
);

CREATE TABLE provider_settings (
    provider TEXT PRIMARY KEY,
    worker_data_volume_gb_default BIGINT,
    delete_on_terminate_default BIGINT NOT NULL,
    default_image TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE models (
    id TEXT PRIMARY KEY,
    data_volume_gb BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE catalogues (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    zone TEXT NOT NULL,
    refreshed_at BIGINT,
    error TEXT,
    PRIMARY KEY (account_id, zone)
);

CREATE TABLE offers (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    zone TEXT NOT NULL,
    instance_type TEXT NOT NULL,
    gpu_count BIGINT NOT NULL,
    hourly_micros BIGINT NOT NULL,
    currency TEXT NOT NULL,
    availability TEXT NOT NULL,
    offer_json TEXT NOT NULL,
    refreshed_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, zone, instance_type)
);

CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    provider TEXT NOT NULL,
    zone TEXT NOT NULL,
    instance_type TEXT NOT NULL,
    model_id TEXT,
    spec_json TEXT NOT NULL,
    desired TEXT NOT NULL,
    status TEXT NOT NULL,
    failure_json TEXT,
    provider_instance_id TEXT,
    ip_address TEXT,
    -- All public addresses of the server, as JSON: IPv4 before IPv6. `ip_address` is the first one.
    addresses_json TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ready_at BIGINT,
    terminate_requested_at BIGINT,
    terminated_at BIGINT,
    notes_json TEXT NOT NULL,
    settled BIGINT NOT NULL,
    wake_at BIGINT NOT NULL,
    -- The earliest time at which an observation may confirm the proofs; NULL: nothing is left to confirm.
    confirm_after BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX instances_unsettled ON instances (account_id, wake_at) WHERE settled = 0;
-- Of two indexes that fit, SQLite takes the later one: those on what few rows have come after this one.
CREATE INDEX instances_status ON instances (status, id);
-- Ended rows accumulate for ever: lists and the reconciler read living rows, and find the rest by their filters.
CREATE INDEX instances_living ON instances (account_id, zone, id)
    WHERE status IN ('provisioning', 'booting', 'ready', 'terminating');
CREATE INDEX instances_in_zone ON instances (zone, id);
CREATE INDEX instances_model ON instances (model_id, id) WHERE model_id IS NOT NULL;
CREATE INDEX instances_to_confirm ON instances (account_id, zone, id) WHERE confirm_after IS NOT NULL;
-- Finds ended instances by their former name.
CREATE INDEX instances_name ON instances (account_id, name, id);

-- The names of living instances: unique, so that a name can be used instead of an id.
CREATE TABLE instance_names (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    name TEXT NOT NULL,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    PRIMARY KEY (account_id, name)
);
CREATE INDEX instance_names_instance ON instance_names (instance_id);

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

-- The order of visible changes of instances, for the stream of changes. 0: changed and not numbered yet.
CREATE TABLE instance_changes (
    instance_id TEXT PRIMARY KEY REFERENCES instances (id),
    changed BIGINT NOT NULL
);
CREATE INDEX instance_changes_changed ON instance_changes (changed, instance_id);

-- The last number, and a random value that is replaced when earlier positions become invalid; one row.
CREATE TABLE changes (
    last BIGINT NOT NULL,
    history TEXT NOT NULL
);
INSERT INTO changes (last, history) VALUES (1, '0');

-- One row per creation attempt. The unique constraint lets only one writer start an attempt.
CREATE TABLE instance_servers (
    id TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    account_id TEXT NOT NULL,
    zone TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    name TEXT NOT NULL,
    is_primary BIGINT NOT NULL,
    create_state TEXT NOT NULL,
    create_error_json TEXT,
    provider_server_id TEXT,
    state TEXT,
    intended_at BIGINT NOT NULL,
    answered_at BIGINT,
    -- When it got our name and tags, and whether they were seen since: third-party changes are detected and reverted.
    tagged_at BIGINT,
    tags_shown BIGINT NOT NULL,
    user_data_at BIGINT,
    starts BIGINT NOT NULL,
    start_intended_at BIGINT,
    start_sent_at BIGINT,
    stop_sent_at BIGINT,
    delete_intended_at BIGINT,
    delete_sent_at BIGINT,
    gone_at BIGINT,
    proof_json TEXT,
    retry_json TEXT,
    -- Reads may be stale: an observation that is not confirmed yet.
    pending_observation_json TEXT,
    UNIQUE (instance_id, attempt)
);
CREATE INDEX instance_servers_abandoned ON instance_servers (account_id, zone) WHERE create_state = 'abandoned';
-- Which instance owns a resource that the cloud shows?
CREATE INDEX instance_servers_resource ON instance_servers (provider_server_id);
-- Which servers were being created at a given time?
CREATE INDEX instance_servers_intended ON instance_servers (account_id, zone, intended_at);
-- Which creations are unconfirmed, and what is not proven gone yet?
CREATE INDEX instance_servers_unconfirmed ON instance_servers (account_id, intended_at)
    WHERE create_state IN ('intended', 'unconfirmed');
CREATE INDEX instance_servers_leaving ON instance_servers (account_id, delete_intended_at) WHERE gone_at IS NULL;

-- Rows are never deleted: they end with timestamps and a proof.
CREATE TABLE instance_volumes (
    id TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    account_id TEXT NOT NULL,
    zone TEXT NOT NULL,
    instance_server_id TEXT REFERENCES instance_servers (id),
    attempt BIGINT NOT NULL,
    name TEXT NOT NULL,
    origin TEXT NOT NULL,
    is_boot BIGINT NOT NULL,
    volume_type TEXT NOT NULL,
    volume_kind TEXT NOT NULL,
    size_bytes BIGINT,
    perf_iops BIGINT,
    delete_on_terminate BIGINT NOT NULL,
    -- How often the retention policy changed: part of its name in the cloud, to detect records that are older than the
    -- cloud. `cloud_policy_json`: the policy in the cloud, if newer than the row.
    policy_version BIGINT NOT NULL,
    cloud_policy_json TEXT,
    status TEXT NOT NULL,
    create_state TEXT NOT NULL,
    create_error_json TEXT,
    provider_volume_id TEXT,
    created_at BIGINT NOT NULL,
    answered_at BIGINT,
    tagged_at BIGINT,
    tags_shown BIGINT NOT NULL,
    changed_at BIGINT,
    attach_sent_at BIGINT,
    attached_at BIGINT,
    detach_sent_at BIGINT,
    delete_intended_at BIGINT,
    delete_sent_at BIGINT,
    -- When the cloud accepted the deletion: the absence then needs no other evidence.
    delete_accepted_at BIGINT,
    deleted_at BIGINT,
    proof_json TEXT,
    retry_json TEXT,
    pending_observation_json TEXT,
    -- Snapshots of the volume that the cloud showed, as JSON; NULL: none. Snapshots outlive the volume, and the cloud then
    -- no longer shows their source.
    snapshots_json TEXT
);
CREATE INDEX instance_volumes_instance ON instance_volumes (instance_id);
CREATE INDEX instance_volumes_status ON instance_volumes (status, id);
CREATE UNIQUE INDEX instance_volumes_resource ON instance_volumes (instance_id, provider_volume_id)
    WHERE provider_volume_id IS NOT NULL;
CREATE UNIQUE INDEX instance_volumes_attempt ON instance_volumes (instance_id, attempt)
    WHERE origin = 'ours' AND provider_volume_id IS NULL;
CREATE INDEX instance_volumes_abandoned ON instance_volumes (account_id, zone) WHERE create_state = 'abandoned';
CREATE INDEX instance_volumes_provider ON instance_volumes (provider_volume_id);
CREATE INDEX instance_volumes_unconfirmed ON instance_volumes (account_id, created_at)
    WHERE create_state IN ('intended', 'unconfirmed');
CREATE INDEX instance_volumes_leaving ON instance_volumes (account_id, delete_intended_at) WHERE deleted_at IS NULL;
CREATE INDEX instance_volumes_in_zone ON instance_volumes (zone, id);
CREATE INDEX instance_volumes_retained ON instance_volumes (account_id, zone, instance_id) WHERE status = 'retained';
CREATE INDEX instance_volumes_snapshots ON instance_volumes (account_id, zone) WHERE snapshots_json IS NOT NULL;

CREATE TABLE action_logs (
    id TEXT PRIMARY KEY,
    instance_id TEXT,
    volume_id TEXT,
    action TEXT NOT NULL,
    status TEXT NOT NULL,
    provider TEXT NOT NULL,
    account_id TEXT NOT NULL,
    zone TEXT NOT NULL,
    resource_id TEXT,
    attempt BIGINT,
    request_id TEXT,
    error_kind TEXT,
    error TEXT,
    details TEXT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    duration_ms BIGINT
);
CREATE INDEX action_logs_open ON action_logs (account_id, started_at) WHERE status = 'in_progress';
CREATE INDEX action_logs_instance ON action_logs (instance_id, id);

CREATE TABLE instance_state_history (
    id TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    from_status TEXT,
    to_status TEXT NOT NULL,
    reason TEXT,
    at BIGINT NOT NULL
);
CREATE INDEX instance_state_history_instance ON instance_state_history (instance_id, id);

-- The last audit of each zone, whether a new one was requested, and what of it.
CREATE TABLE audits (
    account_id TEXT NOT NULL REFERENCES provider_accounts (id),
    zone TEXT NOT NULL,
    requested_at BIGINT,
    request_json TEXT,
    begun_at BIGINT,
    ended_at BIGINT,
    report_json TEXT,
    PRIMARY KEY (account_id, zone)
);

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
