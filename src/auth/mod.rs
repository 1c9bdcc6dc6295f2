//! Who may log in: passwords and their hashes, keys, and the gates of an account.

mod cache;
mod certificates;
mod default_admin;
mod delay;
mod entropy;
pub mod hash;
mod login;
pub mod one_time;
mod password;
mod standing;

pub use cache::VerifiedPasswords;
pub use certificates::{CertificateRefusal, UserCertificates};
pub use default_admin::create_default_admin;
pub use delay::LoginDelay;
pub use entropy::entropy_bits;
pub use login::keyboard::{Dialogue, Questions, Step};
pub use login::{Gate, KeyLogin, Login, LoginContext, LoginFailure};
pub use one_time::OneTimePasswords;
pub use password::{MAX_PASSWORD_LEN, Passwords};
