-- The order in which what instances show has changed, for the stream of changes. 0: changed since, and not numbered yet.
ALTER TABLE instances ADD COLUMN changed BIGINT NOT NULL DEFAULT 1;
CREATE INDEX instances_changed ON instances (changed, id);

-- The last number that was given; one row.
CREATE TABLE changes (
    last BIGINT NOT NULL
);
INSERT INTO changes (last) VALUES (1);
