//! The `sftpgo` command.

fn main() {}
