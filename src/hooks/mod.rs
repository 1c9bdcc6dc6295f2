//! How a hook is run: a program, or a request to an HTTP server.
//!
//! What a hook is given and what its answer means is a matter of the hook:
//! `keyboard` has the dialogue of keyboard-interactive logins.

pub mod command;
pub mod http;
pub mod keyboard;

pub use command::Programs;
pub use http::HttpClient;
pub use keyboard::{Asking, Conversation, KeyboardHook, Reply};
