DROP TABLE admins_groups;
DROP TABLE groups_folders;
DROP TABLE users_groups;
DROP TABLE users_folders;
DROP TABLE account_groups;
