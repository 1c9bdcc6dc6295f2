CREATE TABLE roles (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    description LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The name of the role; empty for none. Not a foreign key: an administrator whose
-- role is not there must stay limited to it.
ALTER TABLE users ADD COLUMN role VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE admins ADD COLUMN role VARCHAR(255) NOT NULL DEFAULT '';

CREATE INDEX users_role ON users (role);
CREATE INDEX admins_role ON admins (role);
