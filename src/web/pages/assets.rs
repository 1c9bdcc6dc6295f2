//! Style sheets, scripts and icons: part of the program, replaceable by files of the same
//! name, and served under a name that changes with their content.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use actix_web::http::header;
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::web::edge::Edge;
use crate::web::edge::observe::Unwatched;
use crate::web::error::ApiError;
use crate::web::fallback::not_found;
use crate::web::services::Binding;

/// Served below the root of the web pages.
pub const BASE: &str = "/static";

/// The one style sheet, joined from these in order.
const STYLE_SHEET: &str = "css/app.css";
const STYLE_PARTS: [&str; 6] = [
    "css/tokens.css",
    "css/base.css",
    "css/shell.css",
    "css/controls.css",
    "css/tables.css",
    "css/pages.css",
];

#[derive(RustEmbed)]
#[folder = "assets/"]
#[include = "css/*.css"]
#[include = "js/*.js"]
#[include = "*.svg"]
struct Embedded;

/// The files by name, and the fingerprint of them all.
pub struct Assets {
    by_name: HashMap<String, Asset>,
    fingerprint: String,
}

struct Asset {
    content_type: &'static str,
    plain: Bytes,
    gzipped: Bytes,
}

impl Assets {
    /// Takes the files of the program, or those of the same name below `replacements`.
    ///
    /// # Errors
    /// When a replacement is there and cannot be read.
    pub fn load(replacements: Option<&Path>) -> Result<Self> {
        let mut content_by_name = HashMap::new();
        for name in Embedded::iter() {
            let embedded = Embedded::get(&name).map(|file| file.data.into_owned());
            let content = match replacements.map(|folder| folder.join(&*name)) {
                Some(path) => read_if_there(&path)?.or(embedded),
                None => embedded,
            };
            content_by_name.insert(name.into_owned(), content.unwrap_or_default());
        }
        let mut joined = Vec::new();
        for part in STYLE_PARTS {
            joined.extend(content_by_name.remove(part).unwrap_or_default());
        }
        content_by_name.insert(STYLE_SHEET.to_owned(), joined);
        let mut names: Vec<_> = content_by_name.keys().collect();
        names.sort();
        let mut digest = Sha256::new();
        for name in names {
            digest.update(name.as_bytes());
            digest.update(&content_by_name[name]);
        }
        let fingerprint = hex::encode(&digest.finalize()[..8]);
        let by_name = content_by_name
            .into_iter()
            .map(|(name, content)| Ok((name.clone(), Asset::new(&name, content)?)))
            .collect::<Result<_>>()?;
        Ok(Self { by_name, fingerprint })
    }

    /// The path that the names of assets follow, below the root of the web pages.
    pub fn base(&self) -> String {
        format!("{BASE}/{}", self.fingerprint)
    }

    /// The length of every file as it travels, by name.
    #[cfg(test)]
    pub fn compressed_sizes(&self) -> Vec<(&str, usize)> {
        self.by_name.iter().map(|(name, asset)| (name.as_str(), asset.gzipped.len())).collect()
    }
}

impl Asset {
    fn new(name: &str, content: Vec<u8>) -> Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzipped = encoder.write_all(&content).and_then(|()| encoder.finish());
        let gzipped = gzipped.map_err(|error| Error::from_io("compress an asset", error))?;
        let content_type = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        };
        Ok(Self { content_type, plain: content.into(), gzipped: gzipped.into() })
    }
}

pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Error::from_io(path.display().to_string(), error)),
    }
}

/// Serves the files.
pub fn configure(config: &mut ServiceConfig, edge: &Edge) {
    config.service(
        web::resource(edge.link(&format!("{BASE}/{{fingerprint}}/{{name:.*}}")))
            .route(web::get().to(get))
            .route(web::head().to(get)),
    );
}

async fn get(
    binding: Data<Binding>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (fingerprint, name) = path.into_inner();
    request.extensions_mut().insert(Unwatched);
    let assets = binding.pages.as_ref().map(|pages| &pages.assets);
    let Some(assets) = assets else { return not_found(request).await };
    let Some(asset) = assets.by_name.get(&name) else { return not_found(request).await };
    let mut response = HttpResponse::Ok();
    response.content_type(asset.content_type).insert_header((header::VARY, "Accept-Encoding"));
    // A page that is older than the program asks by an older name: it gets what there is,
    // and nobody keeps that under the wrong name.
    response.insert_header((
        header::CACHE_CONTROL,
        if fingerprint == assets.fingerprint {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        },
    ));
    if accepts_gzip(&request) {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        Ok(response.body(asset.gzipped.clone()))
    } else {
        // Also keeps the compression of pages away from it.
        response.insert_header((header::CONTENT_ENCODING, "identity"));
        Ok(response.body(asset.plain.clone()))
    }
}

fn accepts_gzip(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT_ENCODING);
    accepted.and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(',').any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            name.trim().eq_ignore_ascii_case("gzip")
                && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_style_sheet_are_joined_and_not_served_alone() {
        let assets = Assets::load(None).expect("assets");
        let sheet = &assets.by_name[STYLE_SHEET].plain;
        for part in STYLE_PARTS {
            let content = Embedded::get(part).unwrap_or_else(|| panic!("{part} is missing")).data;
            assert!(sheet.windows(content.len()).any(|window| window == &*content), "{part}");
            assert!(!assets.by_name.contains_key(part));
        }
    }

    #[test]
    fn a_file_of_the_same_name_replaces_ours_and_changes_the_fingerprint() {
        let folder = tempfile::tempdir().expect("a folder");
        let ours = Assets::load(Some(folder.path())).expect("assets");
        std::fs::write(folder.path().join("icons.svg"), "<svg/>").expect("written");
        std::fs::write(folder.path().join("secret.txt"), "not ours").expect("written");
        let theirs = Assets::load(Some(folder.path())).expect("assets");
        assert_eq!(theirs.by_name["icons.svg"].plain, "<svg/>");
        assert_ne!(ours.fingerprint, theirs.fingerprint);
        assert!(!theirs.by_name.contains_key("secret.txt"));
        // Something that is in the way is told, not passed over.
        std::fs::remove_file(folder.path().join("icons.svg")).expect("removed");
        std::fs::create_dir(folder.path().join("icons.svg")).expect("made");
        assert!(Assets::load(Some(folder.path())).is_err());
    }

    #[test]
    fn assets_stay_light() {
        let assets = Assets::load(None).expect("assets");
        let of = |kind: &str| -> usize {
            let sizes = assets.compressed_sizes().into_iter();
            sizes.filter(|(name, _)| name.ends_with(kind)).map(|(_, size)| size).sum()
        };
        for (kind, most) in [(".css", 12 << 10), (".js", 30 << 10), (".svg", 5 << 10)] {
            let size = of(kind);
            assert!(size > 0 && size <= most, "{kind}: {size} bytes, at most {most}");
        }
    }

    /// Contrast of two colours (WCAG 2.2, "contrast ratio").
    fn contrast(one: u32, other: u32) -> f64 {
        let luminance = |colour: u32| {
            let channel = |shift: u32| {
                let value = f64::from((colour >> shift) & 0xff) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// The light and the dark value of every colour of the style sheet.
    fn colours() -> HashMap<String, [u32; 2]> {
        let sheet = Embedded::get("css/tokens.css").expect("tokens").data;
        let sheet = std::str::from_utf8(&sheet).expect("UTF-8");
        let hex = |text: &str| {
            let digits = text.trim().trim_start_matches('#');
            let long = match digits.len() {
                3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
                _ => digits.to_owned(),
            };
            u32::from_str_radix(&long, 16).ok()
        };
        sheet
            .lines()
            .filter_map(|line| {
                let (name, value) = line.trim().strip_prefix("--")?.split_once(": light-dark(")?;
                let (light, dark) = value.trim_end_matches(");").split_once(',')?;
                Some((name.to_owned(), [hex(light)?, hex(dark)?]))
            })
            .collect()
    }

    #[test]
    fn text_can_be_read_on_every_surface_in_both_themes() {
        let colours = colours();
        let surfaces = ["bg", "surface", "raised", "sunken", "hover", "selected"];
        let texts = ["ink", "ink-2", "ink-3", "accent", "ok", "warn", "bad"];
        let soft = [("ok", "ok-soft"), ("warn", "warn-soft"), ("bad", "bad-soft")];
        let filled = [("on-accent", "accent"), ("accent", "accent-soft"), ("ink", "bad-soft")];
        let on_surfaces = texts.iter().flat_map(|text| surfaces.map(|surface| (*text, surface)));
        for (text, surface) in on_surfaces.chain(soft).chain(filled) {
            for theme in [0, 1] {
                let ratio = contrast(colours[text][theme], colours[surface][theme]);
                assert!(ratio >= 4.5, "{text} on {surface}, theme {theme}: {ratio:.2}");
            }
        }
        // Borders of inputs, and what is drawn (WCAG 2.2, 1.4.11).
        for graphic in ["edge", "up", "down"] {
            for (theme, surface) in [0, 1].into_iter().flat_map(|t| surfaces.map(|s| (t, s))) {
                let ratio = contrast(colours[graphic][theme], colours[surface][theme]);
                assert!(ratio >= 3.0, "{graphic} on {surface}, theme {theme}: {ratio:.2}");
            }
        }
        assert!(contrast(0xffffff, colours["bad-fill"][1]) >= 4.5);
    }
}
