//! The tables, as the migrations make them.

diesel::table! {
    users (id) {
        id -> BigInt,
        username -> Text,
        status -> Integer,
        email -> Text,
        description -> Text,
        additional_info -> Text,
        expiration_date -> BigInt,
        password -> Text,
        public_keys -> Text,
        home_dir -> Text,
        uid -> BigInt,
        gid -> BigInt,
        max_sessions -> BigInt,
        quota_size -> BigInt,
        quota_files -> BigInt,
        permissions -> Text,
        upload_bandwidth -> BigInt,
        download_bandwidth -> BigInt,
        filters -> Text,
        filesystem -> Text,
        last_login -> BigInt,
        last_password_change -> BigInt,
        first_upload -> BigInt,
        first_download -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        role -> Text,
        upload_data_transfer -> BigInt,
        download_data_transfer -> BigInt,
        total_data_transfer -> BigInt,
    }
}

diesel::table! {
    admins (id) {
        id -> BigInt,
        username -> Text,
        status -> Integer,
        email -> Text,
        description -> Text,
        additional_info -> Text,
        password -> Text,
        permissions -> Text,
        filters -> Text,
        last_login -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        role -> Text,
    }
}

diesel::table! {
    roles (id) {
        id -> BigInt,
        name -> Text,
        description -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    folders (id) {
        id -> BigInt,
        name -> Text,
        mapped_path -> Text,
        description -> Text,
        filesystem -> Text,
    }
}

diesel::table! {
    quota_usage (owner_kind, owner_name) {
        owner_kind -> Integer,
        owner_name -> Text,
        used_size -> BigInt,
        used_files -> BigInt,
        updated_at -> BigInt,
        uploaded -> BigInt,
        downloaded -> BigInt,
        scan_requested -> BigInt,
    }
}

diesel::table! {
    account_groups (id) {
        id -> BigInt,
        name -> Text,
        description -> Text,
        user_settings -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        quota_size -> BigInt,
        quota_files -> BigInt,
        expires_in -> BigInt,
    }
}

diesel::table! {
    users_folders (username, virtual_path) {
        username -> Text,
        virtual_path -> Text,
        folder_name -> Text,
        quota_size -> BigInt,
        quota_files -> BigInt,
    }
}

diesel::table! {
    groups_folders (group_name, virtual_path) {
        group_name -> Text,
        virtual_path -> Text,
        folder_name -> Text,
        quota_size -> BigInt,
        quota_files -> BigInt,
    }
}

diesel::table! {
    users_groups (username, group_name) {
        username -> Text,
        group_name -> Text,
        kind -> Integer,
    }
}

diesel::table! {
    admins_groups (username, group_name) {
        username -> Text,
        group_name -> Text,
        kind -> Integer,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    users,
    admins,
    roles,
    folders,
    quota_usage,
    account_groups,
    users_folders,
    groups_folders,
    users_groups,
    admins_groups,
);
