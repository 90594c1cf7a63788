-- What happens when a limit on what is spent is reached: 'refuse' or 'drain'.
ALTER TABLE limits ADD COLUMN on_limit TEXT NOT NULL DEFAULT 'refuse';
