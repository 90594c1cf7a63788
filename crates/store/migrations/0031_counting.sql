-- What sums read of the rows that are not settled: they are few among many, and are read from here alone.
CREATE INDEX charges_counting ON charges (settled, account_id, zone, sku, kind, class, starts_at, ends_at, quantity,
    instance_id, service_id, model_id, resource_id) WHERE settled <= 0;
