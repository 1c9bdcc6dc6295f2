INSERT INTO account_groups (name, description, user_settings, created_at, updated_at) VALUES
    ('both', '', '{"quota_size": 9223372036854775807, "quota_files": 7, "expires_in": 30}', 1, 1),
    ('neither', '', '{}', 1, 1);
