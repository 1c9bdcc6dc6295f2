//! The API as its clients see it: every story runs against the real application,
//! a store in memory and real actors.

mod admins;
mod browser;
mod bulk;
mod connections;
mod door;
mod dumps;
mod duties;
mod edge;
mod events;
mod folders;
mod groups;
mod harness;
mod lists;
mod live_pages;
mod logs;
mod maintenance;
mod new_users;
mod object_pages;
mod permission_test;
mod quotas;
mod rate_limits;
mod roles;
mod servers;
mod service;
mod signing_in;
mod status_pages;
mod tasks;
mod telemetry;
mod tokens;
mod users;
mod users_pages;
mod versions;
