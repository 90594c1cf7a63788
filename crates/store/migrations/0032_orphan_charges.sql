-- The ledger has rows of the class 'orphan', which older versions do not know. Audits read those that have not ended.
CREATE INDEX charges_of_orphans ON charges (account_id, zone) WHERE class = 'orphan' AND ends_at IS NULL;
