ALTER TABLE account_groups DROP COLUMN expires_in;
