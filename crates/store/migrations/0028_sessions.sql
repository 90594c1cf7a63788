-- Tokens that expire, for browsers and for people who may only look.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    -- What people call it.
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- SHA-256 of the token.
    hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
