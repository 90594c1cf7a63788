-- The order in which what instances show has changed, for the stream of changes. 0: changed since, and not numbered yet.
-- A table of its own: a new column would change what the statements of servers give that still run an older version.
CREATE TABLE instance_changes (
    instance_id TEXT PRIMARY KEY REFERENCES instances (id),
    changed BIGINT NOT NULL
);
CREATE INDEX instance_changes_changed ON instance_changes (changed, instance_id);

-- The last number that was given, and what is drawn anew when the past is not to be trusted; one row.
CREATE TABLE changes (
    last BIGINT NOT NULL,
    history TEXT NOT NULL
);
INSERT INTO changes (last, history) VALUES (1, '0');
