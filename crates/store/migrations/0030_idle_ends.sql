-- When an instance ends because nobody asks its model. Set in the last ten minutes; after its end, when that was requested.
ALTER TABLE instances ADD COLUMN idle_ends_at BIGINT;
CREATE INDEX instances_idle_ending ON instances (idle_ends_at) WHERE idle_ends_at IS NOT NULL AND desired <> 'absent';
CREATE INDEX instances_idle_ended ON instances (idle_ends_at) WHERE idle_ends_at IS NOT NULL AND desired = 'absent';
