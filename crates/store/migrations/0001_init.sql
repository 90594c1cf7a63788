-- The same SQL for SQLite and PostgreSQL: TEXT and BIGINT only. Times are microseconds since 1970 (UTC), sizes are
-- bytes, money is millionths; flags are 0 or 1; columns that end in _json hold JSON that is never searched.

CREATE TABLE provider_accounts (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    project_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
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
    created_at BIGINT NOT NULL,
    ready_at BIGINT,
    terminate_requested_at BIGINT,
    terminated_at BIGINT,
    notes_json TEXT NOT NULL,
    settled BIGINT NOT NULL,
    wake_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX instances_unsettled ON instances (account_id, wake_at) WHERE settled = 0;
CREATE INDEX instances_zone ON instances (account_id, zone, status);
CREATE INDEX instances_status ON instances (status, id);

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
    UNIQUE (instance_id, attempt)
);

CREATE INDEX instance_servers_burned ON instance_servers (account_id, zone) WHERE create_state = 'abandoned';

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
    status TEXT NOT NULL,
    create_state TEXT NOT NULL,
    create_error_json TEXT,
    provider_volume_id TEXT,
    created_at BIGINT NOT NULL,
    answered_at BIGINT,
    tagged_at BIGINT,
    changed_at BIGINT,
    attach_sent_at BIGINT,
    attached_at BIGINT,
    detach_sent_at BIGINT,
    delete_intended_at BIGINT,
    delete_sent_at BIGINT,
    deleted_at BIGINT,
    proof_json TEXT,
    retry_json TEXT
);
CREATE INDEX instance_volumes_instance ON instance_volumes (instance_id);
CREATE INDEX instance_volumes_status ON instance_volumes (status, id);
CREATE UNIQUE INDEX instance_volumes_resource ON instance_volumes (instance_id, provider_volume_id)
    WHERE provider_volume_id IS NOT NULL;
CREATE UNIQUE INDEX instance_volumes_attempt ON instance_volumes (instance_id, attempt)
    WHERE origin = 'ours' AND provider_volume_id IS NULL;

CREATE INDEX instance_volumes_burned ON instance_volumes (account_id, zone) WHERE create_state = 'abandoned';

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
