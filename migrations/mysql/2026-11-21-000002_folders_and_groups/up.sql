-- What members of a group inherit. "groups" alone is a reserved word. References are
-- constraints of the table: beside a column this engine would ignore them.
CREATE TABLE account_groups (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    description LONGTEXT NOT NULL,
    user_settings LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What an account has mounted, and where. Quotas: -1 counts to the account.
CREATE TABLE users_folders (
    username VARCHAR(255) NOT NULL,
    virtual_path VARCHAR(512) NOT NULL,
    folder_name VARCHAR(255) NOT NULL,
    quota_size BIGINT NOT NULL,
    quota_files BIGINT NOT NULL,
    PRIMARY KEY (username, virtual_path),
    FOREIGN KEY (username) REFERENCES users (username) ON DELETE CASCADE,
    FOREIGN KEY (folder_name) REFERENCES folders (name) ON DELETE CASCADE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX users_folders_folder ON users_folders (folder_name);

CREATE TABLE groups_folders (
    group_name VARCHAR(255) NOT NULL,
    virtual_path VARCHAR(512) NOT NULL,
    folder_name VARCHAR(255) NOT NULL,
    quota_size BIGINT NOT NULL,
    quota_files BIGINT NOT NULL,
    PRIMARY KEY (group_name, virtual_path),
    FOREIGN KEY (group_name) REFERENCES account_groups (name) ON DELETE CASCADE,
    FOREIGN KEY (folder_name) REFERENCES folders (name) ON DELETE CASCADE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX groups_folders_folder ON groups_folders (folder_name);

-- kind: 1 primary, 2 secondary, 3 membership.
CREATE TABLE users_groups (
    username VARCHAR(255) NOT NULL,
    group_name VARCHAR(255) NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (username, group_name),
    FOREIGN KEY (username) REFERENCES users (username) ON DELETE CASCADE,
    FOREIGN KEY (group_name) REFERENCES account_groups (name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX users_groups_group ON users_groups (group_name);

-- Which groups the users made by an admin join. kind: 0 membership, 1 primary, 2 secondary.
CREATE TABLE admins_groups (
    username VARCHAR(255) NOT NULL,
    group_name VARCHAR(255) NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (username, group_name),
    FOREIGN KEY (username) REFERENCES admins (username) ON DELETE CASCADE,
    FOREIGN KEY (group_name) REFERENCES account_groups (name) ON DELETE CASCADE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX admins_groups_group ON admins_groups (group_name);
