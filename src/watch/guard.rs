//! Access control: only this machine's own page is answered, and no page from elsewhere.
//!
//! The server listens on the loopback interface, but a browser on this machine runs pages from anywhere. Such a page gives
//! itself away by its `Origin` or `Sec-Fetch-Site`; one that had its own name resolve to 127.0.0.1 (DNS rebinding), by
//! its `Host`.

use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Whether a request may be answered on `port`; the reason where it may not.
///
/// # Errors
/// One sentence for the sender.
pub fn check(headers: &HeaderMap, port: u16) -> Result<(), String> {
    let ours = |host: &str| {
        let (name, given) = host.rsplit_once(':').unwrap_or((host, "80"));
        given == port.to_string() && (name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost"))
    };
    let text = |name: HeaderName| -> Result<Option<&str>, String> {
        let mut all = headers.get_all(&name).iter();
        match (all.next(), all.next()) {
            (None, _) => Ok(None),
            (Some(one), None) => one.to_str().map(Some).map_err(|_| format!("{name}: it is no text")),
            _ => Err(format!("{name}: it comes more than once")),
        }
    };
    match text(HOST)? {
        Some(host) if ours(host) => {}
        found => return Err(format!("host {}: 127.0.0.1:{port} is expected", found.unwrap_or("missing"))),
    }
    match text(ORIGIN)? {
        None => {}
        Some(origin) if origin.strip_prefix("http://").is_some_and(ours) => {}
        Some(origin) => return Err(format!("origin {origin}: pages from elsewhere get no answer")),
    }
    match (text(SITE)?, text(MODE)?) {
        // A link that a person followed, from wherever, opens a page and hands nothing back.
        (None | Some("same-origin" | "none"), _) | (Some(_), Some("navigate")) => Ok(()),
        (Some(site), _) => Err(format!("site {site}: pages from elsewhere get no answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_this_page_is_answered() {
        let host = ("host", "127.0.0.1:6174");
        let cases: &[(&[(&'static str, &str)], bool)] = &[
            (&[host], true),
            (&[("host", "localhost:6174")], true),
            (&[("host", "LOCALHOST:6174")], true),
            (&[], false),
            (&[("host", "127.0.0.1")], false),
            (&[("host", "127.0.0.1:80")], false),
            (&[("host", "evil.example:6174")], false),
            (&[("host", "localhost.evil.example:6174")], false),
            (&[("host", "127.0.0.1:6174.evil.example")], false),
            (&[("host", "evil.example")], false),
            (&[("host", "")], false),
            (&[("host", "\u{ff}")], false),
            (&[host, ("host", "evil.example")], false),
            (&[host, ("origin", "http://127.0.0.1:6174")], true),
            (&[host, ("origin", "http://localhost:6174")], true),
            (&[host, ("origin", "http://evil.example")], false),
            (&[host, ("origin", "http://evil.example:6174")], false),
            (&[host, ("origin", "https://127.0.0.1:6174")], false),
            (&[host, ("origin", "http://127.0.0.1:8080")], false),
            (&[host, ("origin", "null")], false),
            (&[host, ("origin", "file://")], false),
            (&[host, ("sec-fetch-site", "same-origin")], true),
            (&[host, ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], true),
            (&[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], true),
            (&[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], false),
            (&[host, ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")], false),
            (&[host, ("sec-fetch-site", "cross-site")], false),
        ];
        for (headers, allowed) in cases {
            let mut map = HeaderMap::new();
            for (name, value) in *headers {
                map.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"));
            }
            assert_eq!(check(&map, 6174).is_ok(), *allowed, "{headers:?}: {:?}", check(&map, 6174));
        }
    }

    #[test]
    fn port_80_may_be_left_out() {
        let mut map = HeaderMap::new();
        map.insert("host", HeaderValue::from_static("127.0.0.1"));
        assert!(check(&map, 80).is_ok());
    }
}
