SELECT name, quota_size, quota_files FROM account_groups ORDER BY name;
