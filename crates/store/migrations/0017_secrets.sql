-- Secrets that users set, sealed with a key that is not in the database.
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Certificate authorities of the control plane, each with its sealed private key. All replicas use the first one stored.
CREATE TABLE authorities (
    id TEXT PRIMARY KEY,
    certificate_pem TEXT NOT NULL,
    sealed_key TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
