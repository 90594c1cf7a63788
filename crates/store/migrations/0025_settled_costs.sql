-- Sums of rows of the ledger that have ended, so that the sums of a month do not grow with its instances.

-- 0: not in `settled_costs`; 1: in it; negative: being added to it. A row that ended some minutes ago never changes.
ALTER TABLE charges ADD COLUMN settled BIGINT NOT NULL DEFAULT 0;
CREATE INDEX charges_unsettled ON charges (settled, ends_at) WHERE settled <= 0;
-- Finds the rows of one of `settled_costs`: 86400000000 microseconds are a day.
CREATE INDEX charges_of_days ON charges ((starts_at / 86400000000), (ends_at / 86400000000)) WHERE settled > 0;

-- Each row of the ledger is in one of these, as a whole.
CREATE TABLE settled_costs (
    -- The days in UTC in which rows begin and end, as microseconds since 1970.
    start_day BIGINT NOT NULL,
    end_day BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    zone TEXT NOT NULL,
    -- Empty: none.
    service_id TEXT NOT NULL,
    model_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    class TEXT NOT NULL,
    sku TEXT NOT NULL,
    currency TEXT NOT NULL,
    micros BIGINT NOT NULL,
    seconds BIGINT NOT NULL,
    PRIMARY KEY (start_day, end_day, account_id, zone, service_id, model_id, kind, class, sku, currency)
);
