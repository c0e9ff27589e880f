//! The page itself: one HTML file that carries its style, its script and its data, and loads nothing.

use crate::error::{Error, Result};
use crate::report::ReportData;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
/// In this order: each uses those before it.
const SCRIPTS: [&str; 7] = [
    include_str!("page/dom.js"),
    include_str!("page/chart.js"),
    include_str!("page/canvas.js"),
    include_str!("page/sections.js"),
    include_str!("page/inside.js"),
    include_str!("page/live.js"),
    include_str!("page/main.js"),
];

/// The page as one text. It may ask where it came from for news if `live`, and else nothing at all.
///
/// # Errors
/// [`Error::Failed`] where the data cannot be written as JSON.
pub fn html(data: &ReportData) -> Result<String> {
    let connect = if data.live { "'self'" } else { "'none'" };
    let page = TEMPLATE.replace("{{connect}}", connect).replace("{{style}}", STYLE);
    let page = page.replace("{{script}}", &SCRIPTS.join("\n"));
    // The data comes last: nothing in it is taken for a place to be filled.
    let (before, after) = page.split_once("{{data}}").unwrap_or((&page, ""));
    Ok([before, &json(data)?, after].concat())
}

/// The data in a form that no HTML reader takes for markup.
///
/// # Errors
/// [`Error::Failed`] where the data cannot be written as JSON.
pub fn json(data: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string(data).map_err(|e| Error::failed(format!("the report's data: {e}")))?;
    Ok(text.replace('<', "\\u003c"))
}

/// Writes the page, whole or not at all: first beside it under a name that ends in `.tmp`.
///
/// # Errors
/// [`Error::Input`] where the file cannot be created, [`Error::Failed`] where it cannot be completed.
pub fn write(data: &ReportData, path: &Path) -> Result<()> {
    let text = html(data)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = Path::new(&beside);
    let mut file = File::create(beside)
        .map_err(|error| Error::input(format!("{}: cannot be created: {error}", beside.display())))?;
    let done = file.write_all(text.as_bytes()).and_then(|()| fs::rename(beside, path));
    done.map_err(|error| {
        // What is left of the attempt is of no use; that it stays is no further error.
        let _ = fs::remove_file(beside);
        Error::failed(format!("{}: cannot be written: {error}", path.display()))
    })
}
