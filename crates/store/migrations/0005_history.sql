-- Ended rows accumulate for ever: lists and the reconciler read living rows, and find the rest by their filters.
CREATE INDEX instances_living ON instances (account_id, zone, id)
    WHERE status IN ('provisioning', 'booting', 'ready', 'terminating');
CREATE INDEX instances_in_zone ON instances (zone, id);
CREATE INDEX instances_model ON instances (model_id, id) WHERE model_id IS NOT NULL;
DROP INDEX instances_zone;
CREATE INDEX instance_volumes_in_zone ON instance_volumes (zone, id);
CREATE INDEX instance_volumes_retained ON instance_volumes (account_id, zone, instance_id) WHERE status = 'retained';
