SELECT name, expires_in FROM account_groups ORDER BY name;
