-- The days after which members end who have no end of their own: a copy of what is in
-- user_settings, so that a query can compare it.
ALTER TABLE account_groups ADD COLUMN expires_in BIGINT NOT NULL DEFAULT 0;
UPDATE account_groups SET
    expires_in = CAST(COALESCE(JSON_EXTRACT(user_settings, '$.expires_in'), '0') AS SIGNED);
