-- Limits hold for everything (an empty scope), for a service ('service/ID') or for a tag ('tag/TAG').
CREATE TABLE limits_by_scope (
    scope TEXT NOT NULL PRIMARY KEY,
    instances BIGINT,
    gpus BIGINT,
    -- In millionths of the currency, by day and month in UTC.
    day_micros BIGINT,
    month_micros BIGINT,
    currency TEXT NOT NULL,
    on_limit TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
INSERT INTO limits_by_scope (scope, instances, gpus, day_micros, month_micros, currency, on_limit, updated_at)
    SELECT '', instances, gpus, day_micros, month_micros, currency, on_limit, updated_at FROM limits WHERE id = 1;
DROP TABLE limits;
ALTER TABLE limits_by_scope RENAME TO limits;
