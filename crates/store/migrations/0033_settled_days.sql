-- Sums of settled rows by day, so that the costs of each day of a month do not grow with its instances.

-- `charges.settled` is 1 for rows in `settled_costs` alone, which older versions write, and 2 for rows that are in
-- `settled_days` as well. Each piece of such a row is in the sum of its day.
CREATE TABLE settled_days (
    -- In UTC, as microseconds since 1970.
    day BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    -- Empty: none.
    service_id TEXT NOT NULL,
    class TEXT NOT NULL,
    currency TEXT NOT NULL,
    micros BIGINT NOT NULL,
    seconds BIGINT NOT NULL,
    PRIMARY KEY (day, account_id, service_id, class, currency)
);
CREATE INDEX charges_not_by_day ON charges (ends_at) WHERE settled = 1;
