-- Partitions of the action log: one for the lines of proofs, which stay; the others by the month (UTC) in which a line
-- began, so that a month can be dropped as a whole. Statements still use `action_logs`. Lines of a month without a
-- partition are in `unsorted`. Ids sort by time, byte by byte, and are the bounds. `db/months.rs` creates and drops the
-- months.

-- Commits of others before the lock is held must be visible after it.
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
-- Do not wait long behind a backup: everyone else would queue. A log of millions may take its time.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = 0;
LOCK TABLE action_logs IN ACCESS EXCLUSIVE MODE;

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = 'action_logs'::regclass AND (c.relrowsecurity
        OR EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
        OR EXISTS (SELECT 1 FROM pg_publication_rel p WHERE p.prrelid = c.oid)
        OR EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)))
    THEN
        RAISE EXCEPTION 'action_logs has triggers, publications, policies or rights on columns, and is to become another table: take them away first, and give them to the new one';
    END IF;
END
$$;

CREATE TABLE action_logs_parted (LIKE action_logs) PARTITION BY LIST (action);
ALTER TABLE action_logs_parted ALTER COLUMN id TYPE TEXT COLLATE "C";
CREATE TABLE action_logs_proofs PARTITION OF action_logs_parted FOR VALUES IN (
    'PROVIDER_CREATE', 'PROVIDER_CREATE_VOLUME', 'PROVIDER_DELETE', 'PROVIDER_DELETE_VOLUME', 'PROVIDER_PROVE_SERVER_GONE',
    'PROVIDER_PROVE_VOLUME_GONE', 'SERVER_ADOPTED', 'VOLUME_ADOPTED', 'VOLUME_FOUND', 'FOREIGN_VOLUME_FOUND',
    'FOREIGN_VOLUME_RELEASED', 'VOLUME_RETAINED', 'ATTEMPT_BURNED', 'FOREIGN_ADDRESS_LEFT', 'SERVER_DISAPPEARED',
    'VOLUME_DISAPPEARED', 'INSTANCE_RECOVERED', 'ORPHAN_TAKEN');
CREATE TABLE action_logs_others PARTITION OF action_logs_parted DEFAULT PARTITION BY RANGE (id);
CREATE TABLE action_logs_unsorted PARTITION OF action_logs_others DEFAULT;

-- The months of the existing lines (an id begins with the milliseconds, five bits per character), and the next two.
DO $$
DECLARE
    month RECORD;
BEGIN
    FOR month IN
        SELECT suffix, low, lead(low) OVER (ORDER BY low) AS high FROM (
            SELECT to_char(begins, 'YYYY_MM') AS suffix, 'log-' || (
                SELECT string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz',
                    1 + CAST((CAST(EXTRACT(EPOCH FROM begins) * 1000 AS BIGINT) >> 5 * digit) & 31 AS INTEGER), 1), ''
                    ORDER BY digit DESC)
                FROM generate_series(0, 9) AS digit
            ) || repeat('0', 16) COLLATE "C" AS low
            FROM (SELECT MIN(started_at) AS first FROM action_logs) AS lines,
                generate_series(
                    GREATEST(date_trunc('month', to_timestamp(first / 1000000) AT TIME ZONE 'UTC'),
                        date_trunc('month', now() AT TIME ZONE 'UTC' - interval '10 years')),
                    date_trunc('month', now() AT TIME ZONE 'UTC') + interval '3 months', interval '1 month') AS begins
            WHERE first IS NOT NULL
        ) AS months
    LOOP
        IF month.high IS NOT NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF action_logs_others FOR VALUES FROM (%L) TO (%L)',
                'action_logs_' || month.suffix, month.low, month.high);
        END IF;
    END LOOP;
END
$$;

INSERT INTO action_logs_parted SELECT * FROM action_logs;

-- The new table gets the owner and the privileges of the old one.
DO $$
DECLARE
    owner TEXT := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'action_logs'::regclass);
    part REGCLASS;
    may RECORD;
BEGIN
    FOR part IN SELECT relid FROM pg_partition_tree('action_logs_parted') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO %I', part, owner);
    END LOOP;
    FOR may IN SELECT acl.grantee, acl.privilege_type, acl.is_grantable
        FROM pg_class c, aclexplode(c.relacl) acl WHERE c.oid = 'action_logs'::regclass
    LOOP
        EXECUTE format('GRANT %s ON action_logs_parted TO %s%s', may.privilege_type,
            CASE WHEN may.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(may.grantee)) END,
            CASE WHEN may.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END
$$;

DROP TABLE action_logs;
ALTER TABLE action_logs_parted RENAME TO action_logs;
-- The key of a partitioned table must contain the partition key.
ALTER TABLE action_logs ADD PRIMARY KEY (id, action);
CREATE INDEX action_logs_open ON action_logs (account_id, started_at) WHERE status = 'in_progress';
CREATE INDEX action_logs_instance ON action_logs (instance_id, id);
