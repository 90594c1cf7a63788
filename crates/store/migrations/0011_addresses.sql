-- All public addresses of an instance's server, as JSON: IPv4 before IPv6. `ip_address` is the first.
ALTER TABLE instances ADD COLUMN addresses_json TEXT NOT NULL DEFAULT '[]';
UPDATE instances SET addresses_json = '["' || ip_address || '"]' WHERE ip_address IS NOT NULL;
