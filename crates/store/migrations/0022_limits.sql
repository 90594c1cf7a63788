-- What may run and be spent at most. One row; NULL: no limit.
CREATE TABLE limits (
    id BIGINT PRIMARY KEY,
    instances BIGINT,
    gpus BIGINT,
    -- In millionths of the currency, by day and month in UTC.
    day_micros BIGINT,
    month_micros BIGINT,
    currency TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
-- An offer may vanish from the catalogue while its instances live. NULL: an older row.
ALTER TABLE instances ADD COLUMN gpu_count BIGINT;
