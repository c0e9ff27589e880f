//! Bounds around the decoders of pictures: the memory of all threads together, and decoders that panic.

use crate::error::{Error, Result};
use crate::memory::{available_bytes, check_free};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Condvar, Mutex, Once, PoisonError};

/// Bytes that the pictures which are being decoded may take together, whatever the number of threads. A single one may take
/// more.
const TOGETHER: u64 = 1 << 30;

/// Pictures that take fewer bytes do not count: they are decoded at once.
const SMALL: u64 = 16 << 20;

/// Bytes that pictures take which are being decoded.
static TAKEN: Mutex<u64> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// The turn of a large picture; it ends when this is dropped.
struct Turn(u64);

impl Turn {
    /// Waits until there is room for this number of bytes.
    fn wait(bytes: u64) -> Turn {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        // What others take may not be allocated yet: it counts as taken, and they are waited for.
        let fits = |all: u64| all <= TOGETHER && available_bytes().is_none_or(|free| all <= free);
        while *taken > 0 && !fits(taken.saturating_add(bytes)) {
            taken = FREED.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
        Turn(bytes)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        FREED.notify_all();
    }
}

/// Decodes a picture that takes this number of bytes meanwhile, when there is room for it.
///
/// # Errors
/// [`Error::Input`] if the machine has less memory, or where the decoder panics: not every one has an error for memory that it
/// does not get.
pub(super) fn decoded<T>(bytes: u64, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    if bytes < SMALL {
        return caught(decode);
    }
    let _turn = Turn::wait(bytes);
    check_free(bytes, "to decode it takes", "a smaller picture may fit")?;
    caught(decode)
}

thread_local! {
    /// Whether a panic of this thread is caught and becomes an error.
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder whose panic is an error.
fn caught<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !CATCHES.get() {
                previous(info);
            }
        }));
    });
    CATCHES.set(true);
    let done = catch_unwind(AssertUnwindSafe(decode));
    CATCHES.set(false);
    done.unwrap_or_else(|_| Err(Error::input("its decoder failed, perhaps for lack of memory")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_decoder_that_panics_is_an_error() {
        let error = decoded::<()>(1, || panic!("no memory")).unwrap_err().to_string();
        assert!(error.contains("its decoder failed"), "{error}");
        assert_eq!(decoded(1, || Ok(7)), Ok(7));
    }

    #[test]
    fn large_pictures_wait_for_each_other() {
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let bytes = TOGETHER / 3;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let turn = Turn::wait(bytes);
                    most.fetch_max(now.fetch_add(bytes, Ordering::SeqCst) + bytes, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    now.fetch_sub(bytes, Ordering::SeqCst);
                    drop(turn);
                });
            }
        });
        let most = most.into_inner();
        assert!(most > bytes && most <= TOGETHER, "{most}");
    }
}
