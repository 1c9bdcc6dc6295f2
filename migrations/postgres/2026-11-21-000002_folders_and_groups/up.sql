-- What members of a group inherit. "groups" alone is a reserved word of MySQL.
CREATE TABLE account_groups (
    id BIGSERIAL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    description TEXT NOT NULL,
    user_settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What an account has mounted, and where. Quotas: -1 counts to the account.
CREATE TABLE users_folders (
    username TEXT COLLATE "C" NOT NULL REFERENCES users (username) ON DELETE CASCADE,
    virtual_path TEXT COLLATE "C" NOT NULL,
    folder_name TEXT COLLATE "C" NOT NULL REFERENCES folders (name) ON DELETE CASCADE,
    quota_size BIGINT NOT NULL,
    quota_files BIGINT NOT NULL,
    PRIMARY KEY (username, virtual_path)
);
CREATE INDEX users_folders_folder ON users_folders (folder_name);

CREATE TABLE groups_folders (
    group_name TEXT COLLATE "C" NOT NULL REFERENCES account_groups (name) ON DELETE CASCADE,
    virtual_path TEXT COLLATE "C" NOT NULL,
    folder_name TEXT COLLATE "C" NOT NULL REFERENCES folders (name) ON DELETE CASCADE,
    quota_size BIGINT NOT NULL,
    quota_files BIGINT NOT NULL,
    PRIMARY KEY (group_name, virtual_path)
);
CREATE INDEX groups_folders_folder ON groups_folders (folder_name);

-- kind: 1 primary, 2 secondary, 3 membership.
CREATE TABLE users_groups (
    username TEXT COLLATE "C" NOT NULL REFERENCES users (username) ON DELETE CASCADE,
    group_name TEXT COLLATE "C" NOT NULL REFERENCES account_groups (name),
    kind INTEGER NOT NULL,
    PRIMARY KEY (username, group_name)
);
CREATE INDEX users_groups_group ON users_groups (group_name);

-- Which groups the users made by an admin join. kind: 0 membership, 1 primary, 2 secondary.
CREATE TABLE admins_groups (
    username TEXT COLLATE "C" NOT NULL REFERENCES admins (username) ON DELETE CASCADE,
    group_name TEXT COLLATE "C" NOT NULL REFERENCES account_groups (name) ON DELETE CASCADE,
    kind INTEGER NOT NULL,
    PRIMARY KEY (username, group_name)
);
CREATE INDEX admins_groups_group ON admins_groups (group_name);
