-- Behind a backup everybody would stand in line.
SET LOCAL lock_timeout = '5s';
-- All public addresses of an instance's server, as JSON: IPv4 before IPv6. `ip_address` is the first; where this is empty, the only one.
ALTER TABLE instances ADD COLUMN addresses_json TEXT NOT NULL DEFAULT '[]';
