//! What all web pages are made of: templates and assets, sessions and forms. The pages
//! themselves are in `admin`.

pub mod amount;
pub mod assets;
pub mod browser;
pub mod error;
pub mod form;
pub mod live;
pub mod page;
pub mod sessions;
pub mod signed;
pub mod spark;
pub mod templates;
pub mod text;
pub mod upload;
pub mod uploads;

use std::path::Path;
use std::sync::Arc;

use assets::Assets;
use live::Live;
use sessions::Sessions;
use templates::Templates;
use uploads::Uploads;

use crate::config::HttpdConfig;
use crate::error::Result;

/// What the pages of all bindings share.
pub struct Pages {
    pub templates: Templates,
    pub assets: Assets,
    pub sessions: Arc<Sessions>,
    pub live: Live,
    pub uploads: Uploads,
    /// Who may create the first administrator; nothing for everybody.
    pub setup: crate::config::SetupConfig,
    /// Ties forms of who has not signed in yet to their browser; random per start.
    pub form_key: [u8; 32],
}

impl Pages {
    /// Reads the templates and assets, with what replaces them; `None` when the
    /// configuration switches the pages off by naming neither of the two folders.
    ///
    /// # Errors
    /// When a file that replaces one of ours cannot be read or is no valid template.
    pub fn load(config: &HttpdConfig, config_dir: &Path) -> Result<Option<Self>> {
        if config.templates_path.is_empty() && config.static_files_path.is_empty() {
            return Ok(None);
        }
        let folder = |name: &str| (!name.is_empty()).then(|| config_dir.join(name));
        let templates = Templates::load(folder(&config.templates_path).as_deref())
            .map_err(|error| error.wrap("httpd.templates_path"))?;
        let assets = Assets::load(folder(&config.static_files_path).as_deref())
            .map_err(|error| error.wrap("httpd.static_files_path"))?;
        let sessions = Arc::new(Sessions::new(
            u64::from(config.cookie_lifetime) * 60,
            config.token_validation.into(),
        ));
        let mut form_key = [0; 32];
        crate::web::request::token::fill_random(&mut form_key)?;
        Ok(Some(Self {
            templates,
            assets,
            sessions,
            live: Live::default(),
            uploads: Uploads::default(),
            setup: config.setup.clone(),
            form_key,
        }))
    }
}
