//! The page itself: one HTML file that carries its style, its script and its data, and loads nothing.

use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::report::ReportData;
use std::path::Path;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
/// In this order: each uses those before it.
const SCRIPTS: [&str; 15] = [
    include_str!("page/dom.js"),
    include_str!("page/chart.js"),
    include_str!("page/canvas.js"),
    include_str!("page/head.js"),
    include_str!("page/sections.js"),
    include_str!("page/masks.js"),
    include_str!("page/alignments.js"),
    include_str!("page/heads.js"),
    include_str!("page/passages.js"),
    include_str!("page/inside.js"),
    include_str!("page/comparison.js"),
    include_str!("page/ask.js"),
    include_str!("page/prompt.js"),
    include_str!("page/live.js"),
    include_str!("page/main.js"),
];

/// The Content-Security-Policy of the page: its own style and script, pictures that it carries, and news from where it came if
/// it is live; nothing else, from nowhere.
pub(crate) fn policy(live: bool) -> String {
    let connect = if live { "'self'" } else { "'none'" };
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; connect-src {connect}; \
         base-uri 'none'; form-action 'none'"
    )
}

/// The page as one text. It may ask where it came from for news if `live`, and else nothing at all.
///
/// # Errors
/// [`Error::Failed`] if the data cannot be written as JSON.
pub fn html(data: &ReportData) -> Result<String> {
    let page = TEMPLATE.replace("{{policy}}", &policy(data.live)).replace("{{style}}", STYLE);
    let page = page.replace("{{script}}", &SCRIPTS.join("\n"));
    // The data comes last: nothing in it is taken for a place to be filled.
    let (before, after) = page.split_once("{{data}}").unwrap_or((&page, ""));
    Ok([before, &json(data)?, after].concat())
}

/// The data in a form that no HTML reader takes for markup.
///
/// # Errors
/// [`Error::Failed`] if the data cannot be written as JSON.
pub fn json(data: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string(data).map_err(|e| Error::failed(format!("the report's data: {e}")))?;
    Ok(text.replace('<', "\\u003c"))
}

/// Writes the page, whole or not at all.
///
/// # Errors
/// As [`write_whole`].
pub fn write(data: &ReportData, path: &Path) -> Result<()> {
    write_whole(path, html(data)?.as_bytes())
}
