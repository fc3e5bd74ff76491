//! What pages load: a style sheet, a script and an icon, each under the hash of what it holds.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::accent::Rgb;
use crate::screen::accent_rule;

const CSS: &[u8] = include_bytes!("../assets/screen.css");
const JS: &[u8] = include_bytes!("../assets/screen.js");
const ICON: &[u8] = include_bytes!("../assets/icon.svg");

/// One file.
#[derive(Clone)]
pub(crate) struct Asset {
    pub(crate) kind: &'static str,
    /// Where it is, from the root of the site.
    pub(crate) url: String,
    pub(crate) body: Arc<[u8]>,
}

#[derive(Debug, Clone)]
pub(crate) struct Assets {
    pub(crate) css: Asset,
    pub(crate) js: Asset,
    pub(crate) icon: Asset,
}

impl Assets {
    pub(crate) fn new(base: &str, accent: Rgb) -> Assets {
        let css = [accent_rule(accent).as_bytes(), CSS].concat();
        Assets {
            css: Asset::new(base, "css", "text/css; charset=utf-8", css),
            js: Asset::new(base, "js", "text/javascript; charset=utf-8", JS.to_vec()),
            icon: Asset::new(base, "svg", "image/svg+xml", ICON.to_vec()),
        }
    }

    /// The file of a name below `assets/`.
    pub(crate) fn find(&self, name: &str) -> Option<&Asset> {
        [&self.css, &self.js, &self.icon].into_iter().find(|asset| asset.url.rsplit('/').next() == Some(name))
    }
}

impl Asset {
    fn new(base: &str, extension: &str, kind: &'static str, body: Vec<u8>) -> Asset {
        let hash: String = Sha256::digest(&body)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Asset { kind, url: format!("{base}/assets/{hash}.{extension}"), body: body.into() }
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}
