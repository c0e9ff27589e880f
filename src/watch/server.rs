//! The server of the live page: HTTP on the loopback interface, on its own thread.

use crate::error::{Error, Result};
use crate::report::page::policy;
use crate::watch::clients::{Clients, PER_CLIENT};
use crate::watch::guard;
use crate::watch::live::Live;
use crate::watch::patience::Patient;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// The port that is tried first.
pub const PORT: u16 = 6174;

/// How many ports after it are tried.
const MORE_PORTS: u16 = 20;

/// The largest drawing, in bytes: 512 × 512.
const DRAWING_BYTES: usize = 512 * 512;

/// The largest file of a picture, in bytes.
const PICTURE_BYTES: usize = 32 << 20;

/// The largest question about a text, in bytes.
const QUESTION_BYTES: usize = 16 << 10;

/// How long a request may take to come in, and an answer to go out.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections at a time, of all clients together.
const CONNECTIONS: usize = 2 * PER_CLIENT;

/// A port of the loopback interface, ours but silent yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    port: u16,
    patience: Duration,
}

impl Bound {
    /// Takes `port`, with 0 any that is free; where none is given [`PORT`], or the next free one.
    ///
    /// # Errors
    /// [`Error::Input`] if the port, or every one of them, is taken.
    pub fn new(port: Option<u16>) -> Result<Bound> {
        let bind = |port: u16| TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        let fault = |what: String, e: std::io::Error| Error::input(format!("live page: {what}: {e}"));
        let listener = match port {
            Some(port) => bind(port).map_err(|e| fault(format!("port {port}"), e))?,
            None => {
                let last = PORT + MORE_PORTS;
                let found = (PORT..last).find_map(|port| bind(port).ok());
                found.map_or_else(|| bind(last).map_err(|e| fault(format!("ports {PORT} to {last}"), e)), Ok)?
            }
        };
        let ready = listener.set_nonblocking(true).and_then(|()| listener.local_addr());
        let port = ready.map_err(|e| fault("listening".into(), e))?.port();
        Ok(Bound { listener, port, patience: PATIENCE })
    }

    /// Where a browser finds the page.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// With another limit on the time that a request may take to come in, and an answer to go out.
    pub fn with_patience(self, patience: Duration) -> Bound {
        Bound { patience, ..self }
    }

    /// Begins to answer.
    ///
    /// # Errors
    /// [`Error::Failed`] if the system gives no thread.
    pub fn serve(self, live: Arc<Live>) -> Result<Server> {
        let fault = |e: std::io::Error| Error::failed(format!("live page: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fault)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener).map_err(fault)?
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (port, patience) = (self.port, self.patience);
        let work = move || {
            runtime.spawn(accept(listener, (port, patience), live));
            // It also stops when the handle that could stop it is dropped.
            let _ = runtime.block_on(stopped);
        };
        let thread = std::thread::Builder::new().name("live page".into()).spawn(work).map_err(fault)?;
        Ok(Server { stop: Some(stop), thread: Some(thread) })
    }
}

/// A server at work; dropped, it stops.
#[derive(Debug)]
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends whatever became of it.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, (port, patience): (u16, Duration), live: Arc<Live>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let clients = Clients::default();
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file handles, say: what is open has to close first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // A client that has as many as it may have is cut off: others would wait for it.
        let Some(own) = stream.local_addr().ok().and_then(|own| clients.admit(peer, own)) else { continue };
        let live = live.clone();
        let answer = service_fn(move |request| answer(request, port, live.clone()));
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(64 << 10);
            // A browser that goes away in the middle is no fault.
            let _ = http.serve_connection(TokioIo::new(Patient::new(stream, patience)), answer).await;
            drop((place, own));
        });
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(request: Request<Incoming>, port: u16, live: Arc<Live>) -> Result<Answer, Infallible> {
    let answer = match route(request, port, live).await {
        Ok((kind, text)) => respond(StatusCode::OK, kind, text),
        Err((status, why)) => respond(status, TEXT, why + "\n"),
    };
    Ok(answer)
}

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

async fn route(
    request: Request<Incoming>,
    port: u16,
    live: Arc<Live>,
) -> Result<(&'static str, String), (StatusCode, String)> {
    guard::check(request.headers(), port).map_err(|why| (StatusCode::FORBIDDEN, why))?;
    let path = request.uri().path().to_string();
    let expected = match &path[..] {
        "/" | "/state" => Method::GET,
        "/draw" | "/picture" | "/text" => Method::POST,
        _ => return Err((StatusCode::NOT_FOUND, format!("{path}: there is nothing here"))),
    };
    if *request.method() != expected {
        return Err((StatusCode::METHOD_NOT_ALLOWED, format!("{path}: {expected} is expected")));
    }
    let query = request.uri().query().unwrap_or_default();
    let known = query.strip_prefix("weights=").and_then(|step| step.parse().ok());
    let given = match &path[..] {
        "/draw" => body(request, DRAWING_BYTES).await?,
        "/picture" => body(request, PICTURE_BYTES).await?,
        "/text" => body(request, QUESTION_BYTES).await?,
        _ => Bytes::new(),
    };
    let handle = tokio::runtime::Handle::current();
    // What has to be computed must not keep the other connections waiting.
    let work = move || match &path[..] {
        "/" => Ok((HTML, live.page()?)),
        "/state" => Ok((JSON, live.news(known)?)),
        "/picture" => Ok((JSON, live.look(&given)?)),
        "/text" => Ok((JSON, handle.block_on(live.text(&given))?)),
        _ => {
            let side = given.len().isqrt();
            if side * side != given.len() {
                return Err(Error::input(format!("{} bytes: a square drawing is expected", given.len())));
            }
            Ok((JSON, live.read(&given, side)?))
        }
    };
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|e| Err(Error::failed(format!("the answer was not worked out: {e}"))));
    done.map_err(|error| match error {
        Error::Input(why) => (StatusCode::BAD_REQUEST, why),
        Error::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, why),
    })
}

/// The body of a request of at most `most` bytes, where it does not take too long.
async fn body(request: Request<Incoming>, most: usize) -> Result<Bytes, (StatusCode, String)> {
    let collected = tokio::time::timeout(PATIENCE, Limited::new(request.into_body(), most).collect()).await;
    let slow = |_| (StatusCode::REQUEST_TIMEOUT, "the request took too long".to_string());
    match collected.map_err(slow)? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, format!("found more than {most} bytes, expected at most as many")))
        }
        Err(error) => Err((StatusCode::BAD_REQUEST, format!("the request did not come whole: {error}"))),
    }
}

/// The headers of every answer besides its policy: no guessing of its type, and no embedding in other pages.
const ALWAYS: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
];

fn respond(status: StatusCode, kind: &'static str, text: String) -> Answer {
    use hyper::header::HeaderValue;
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    // As the page says itself, and besides that nothing may embed it, which only a header can say.
    let within = if kind == HTML { policy(true) } else { "default-src 'none'".into() };
    if let Ok(policy) = HeaderValue::from_str(&format!("{within}; frame-ancestors 'none'")) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_a_header_too() {
        let sealed = "default-src 'none'; frame-ancestors 'none'";
        let own = format!("{}; frame-ancestors 'none'", policy(true));
        assert!(own.contains("connect-src 'self'; base-uri 'none'; form-action 'none'"), "{own}");
        for (kind, expected) in [(HTML, &*own), (JSON, sealed), (TEXT, sealed)] {
            let answer = respond(StatusCode::OK, kind, String::new());
            assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], expected, "{kind}");
        }
    }
}
