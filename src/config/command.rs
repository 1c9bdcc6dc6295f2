//! `command`: how programs are run as hooks.

use super::setting::section;

section! {
    /// How programs are run as hooks. They get no environment but what is named here and
    /// what the hook is about.
    pub struct CommandConfig {
        /// Environment variables for all programs, each as `NAME=value`.
        pub env: Vec<String> = Vec::new(), check check_variables;

        /// Settings of single programs.
        pub commands: Vec<CommandSettings> = Vec::new(), check check_commands;
    }
}

section! {
    /// What one program gets besides.
    pub struct CommandSettings {
        /// Path of the program, as the hook names it.
        pub path: String = String::new();

        /// Further environment variables, each as `NAME=value`; they win over those for all.
        pub env: Vec<String> = Vec::new(), check check_variables;

        /// Arguments of the program.
        pub args: Vec<String> = Vec::new();

        /// Seconds after which the program is killed. 0 is the limit of the hook; for
        /// `keyboard_interactive` 60 seconds, which no larger number extends.
        pub timeout: u32 = 0, range 0..=300;

        /// The hook that these settings are for: `keyboard_interactive`. Empty for every hook.
        pub hook: String = String::new(), check check_hook;
    }
}

fn check_variables(list: &[String]) -> Result<(), String> {
    for (at, pair) in list.iter().enumerate() {
        let is_pair = pair.split_once('=').is_some_and(|(name, _)| !name.is_empty());
        if !is_pair || pair.contains('\0') {
            return Err(format!("element {} is not NAME=value", at + 1));
        }
        if pair.starts_with("SFTPGO_") {
            return Err(format!("element {}: names with SFTPGO_ are the server's own", at + 1));
        }
    }
    Ok(())
}

fn check_commands(list: &[CommandSettings]) -> Result<(), String> {
    for (at, command) in list.iter().enumerate() {
        if !command.path.starts_with('/') {
            return Err(format!("element {}: path must be absolute", at + 1));
        }
    }
    Ok(())
}

fn check_hook(hook: &str) -> Result<(), String> {
    match hook {
        "" | "keyboard_interactive" => Ok(()),
        _ => Err("must be keyboard_interactive, the only hook of this version, or empty".into()),
    }
}

/// Known settings of features that this version lacks, at the values that leave them off.
pub const LATER: &str = r#"{
    "timeout": 30
}"#;
