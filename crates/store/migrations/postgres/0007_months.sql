-- The action log in parts: what proofs are made of, which stays; and all else by the month (UTC) it was begun in, so that a
-- month can go as a whole. Statements go on naming `action_logs`. A line of a month without a part is in `unsorted`.
-- Ids sort by time, and are the part's bounds. `db/months.rs` makes the months and lets them go.

-- What others commit before the lock is held must be seen after it.
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
LOCK TABLE action_logs IN ACCESS EXCLUSIVE MODE;

CREATE TABLE action_logs_parted (LIKE action_logs) PARTITION BY LIST (action);
CREATE TABLE action_logs_proofs PARTITION OF action_logs_parted FOR VALUES IN (
    'PROVIDER_CREATE', 'PROVIDER_CREATE_VOLUME', 'PROVIDER_DELETE', 'PROVIDER_DELETE_VOLUME', 'PROVIDER_PROVE_SERVER_GONE',
    'PROVIDER_PROVE_VOLUME_GONE', 'SERVER_ADOPTED', 'VOLUME_ADOPTED', 'VOLUME_FOUND', 'FOREIGN_VOLUME_FOUND',
    'FOREIGN_VOLUME_RELEASED', 'VOLUME_RETAINED', 'ATTEMPT_BURNED', 'FOREIGN_ADDRESS_LEFT', 'SERVER_DISAPPEARED',
    'VOLUME_DISAPPEARED', 'INSTANCE_RECOVERED', 'ORPHAN_TAKEN');
CREATE TABLE action_logs_others PARTITION OF action_logs_parted DEFAULT PARTITION BY RANGE (id);
CREATE TABLE action_logs_unsorted PARTITION OF action_logs_others DEFAULT;

INSERT INTO action_logs_parted SELECT * FROM action_logs;

-- Whoever may use the one table may use the other.
DO $$
DECLARE
    may RECORD;
BEGIN
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
-- A key of a table in parts contains what the parts are made by.
ALTER TABLE action_logs ADD PRIMARY KEY (id, action);
CREATE INDEX action_logs_open ON action_logs (account_id, started_at) WHERE status = 'in_progress';
CREATE INDEX action_logs_instance ON action_logs (instance_id, id);
