-- All public addresses of an instance's server, as JSON: IPv4 before IPv6. `ip_address` is the first one, or the only
-- one if this is empty.
ALTER TABLE instances ADD COLUMN addresses_json TEXT NOT NULL DEFAULT '[]';
