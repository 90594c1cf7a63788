-- The ledger: what costs money, from when to when, and the prices over time.

-- One row for a resource, its class and its size; a change of these ends the row and begins another one. Rows never overlap.
CREATE TABLE charges (
    -- The id of the server or volume in the records.
    resource_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    -- NULL: it still costs money.
    ends_at BIGINT,
    class TEXT NOT NULL,
    sku TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    provider_id TEXT,
    account_id TEXT NOT NULL,
    zone TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    service_id TEXT,
    model_id TEXT,
    PRIMARY KEY (resource_id, kind, starts_at)
);
CREATE INDEX charges_open ON charges (account_id, zone, sku) WHERE ends_at IS NULL;
CREATE INDEX charges_ended ON charges (ends_at) WHERE ends_at IS NOT NULL;
CREATE INDEX charges_of_instance ON charges (instance_id);

-- The price of one unit for an hour. The first one of a name counts for the time before it, too.
CREATE TABLE prices (
    account_id TEXT NOT NULL,
    zone TEXT NOT NULL,
    sku TEXT NOT NULL,
    since BIGINT NOT NULL,
    -- NULL: it is the price now.
    until BIGINT,
    -- Billionths of the currency.
    hourly_nanos BIGINT NOT NULL,
    currency TEXT NOT NULL,
    source TEXT NOT NULL,
    -- When it was read.
    read_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, zone, sku, since)
);

-- What was recorded before there was a ledger. Of a server that was started several times, only the last time is known.
INSERT INTO charges (resource_id, kind, starts_at, ends_at, class, sku, quantity, provider_id, account_id, zone,
    instance_id, service_id, model_id)
SELECT s.id, 'server', COALESCE(s.start_sent_at, s.start_intended_at),
    CASE WHEN s.gone_at IS NOT NULL OR s.state IS NULL OR s.state <> 'stopped' THEN s.gone_at
        WHEN s.stop_sent_at > COALESCE(s.start_sent_at, s.start_intended_at) THEN s.stop_sent_at
        ELSE COALESCE(s.start_sent_at, s.start_intended_at) END,
    'used', 'server/' || i.instance_type, 1, s.provider_server_id, s.account_id, s.zone, i.id, i.service_id, i.model_id
FROM instance_servers s JOIN instances i ON i.id = s.instance_id
WHERE s.create_state = 'created' AND COALESCE(s.start_sent_at, s.start_intended_at) IS NOT NULL;
INSERT INTO charges (resource_id, kind, starts_at, ends_at, class, sku, quantity, provider_id, account_id, zone,
    instance_id, service_id, model_id)
SELECT v.id, 'volume', v.created_at, v.deleted_at,
    CASE WHEN v.status = 'retained' THEN 'retained' ELSE 'used' END, 'block/' || COALESCE(v.perf_iops, 0),
    (v.size_bytes + 999999999) / 1000000000, v.provider_volume_id, v.account_id, v.zone, i.id, i.service_id, i.model_id
FROM instance_volumes v JOIN instances i ON i.id = v.instance_id
WHERE v.create_state = 'created' AND v.size_bytes IS NOT NULL AND v.volume_kind = 'network' AND v.origin <> 'foreign'
    AND v.status NOT IN ('reused', 'released', 'failed');
