//! Processes of a run as threads of a test: what they say to one another goes through memory.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use wgrad::error::{Error, Result};
use wgrad::processes::Communicator;

/// How long one waits for the others before it gives up: a test that fails in one of them ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// What has been passed in the calls so far.
#[derive(Debug, Default)]
struct Calls {
    /// Of every call, what each has passed.
    passed: Vec<Vec<Option<Vec<u8>>>>,
    aborted: bool,
}

#[derive(Debug, Default)]
struct Shared {
    calls: Mutex<Calls>,
    changed: Condvar,
}

/// One of the processes.
#[derive(Debug)]
pub struct Thread {
    rank: usize,
    size: usize,
    made: Mutex<usize>,
    shared: Arc<Shared>,
    /// The call in which what the others pass arrives here with another bit.
    pub disturbed: Option<usize>,
}

/// Runs `work` in `size` processes at once, and returns what each gives, in the order of ranks.
pub fn processes<T: Send>(size: usize, work: impl Fn(Thread) -> T + Sync) -> Vec<T> {
    let shared = Arc::new(Shared::default());
    std::thread::scope(|scope| {
        let all = (0..size).map(|rank| {
            let thread = Thread { rank, size, made: Mutex::new(0), shared: shared.clone(), disturbed: None };
            let work = &work;
            scope.spawn(move || work(thread))
        });
        let all: Vec<_> = all.collect();
        all.into_iter().map(|thread| thread.join().expect("a process")).collect()
    })
}

impl Thread {
    /// What each passes in this call.
    fn call(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        let number = {
            let mut made = self.made.lock().unwrap();
            *made += 1;
            *made - 1
        };
        let mut calls = self.shared.calls.lock().unwrap();
        if calls.passed.len() <= number {
            calls.passed.push(vec![None; self.size]);
        }
        calls.passed[number][self.rank] = Some(mine.to_vec());
        self.shared.changed.notify_all();
        let waits = |calls: &mut Calls| !calls.aborted && calls.passed[number].iter().any(Option::is_none);
        let (calls, late) = self.shared.changed.wait_timeout_while(calls, PATIENCE, waits).unwrap();
        if late.timed_out() || calls.aborted {
            return Err(Error::failed(format!("process {}: the others do not answer", self.rank)));
        }
        let mut all: Vec<Vec<u8>> = calls.passed[number].iter().flatten().cloned().collect();
        if self.disturbed == Some(number) {
            // A bit of the exponent, where the bytes are floats.
            all.iter_mut().for_each(|bytes| bytes[3] ^= 1);
        }
        Ok(all)
    }
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn host(&self) -> Result<String> {
        Ok("here".into())
    }

    fn all_gather(&self, mine: &[u8]) -> Result<Vec<u8>> {
        let all = self.call(mine)?;
        assert!(all.iter().all(|other| other.len() == mine.len()), "{:?}", all.iter().map(Vec::len));
        Ok(all.concat())
    }

    fn all_to_all(&self, mine: &[u8]) -> Result<Vec<u8>> {
        let part = mine.len() / self.size;
        Ok(self.call(mine)?.iter().flat_map(|all| all[self.rank * part..][..part].to_vec()).collect())
    }

    fn leave(&self) -> Result<()> {
        Ok(())
    }

    fn abort(&self, _: u8) {
        self.shared.calls.lock().unwrap().aborted = true;
        self.shared.changed.notify_all();
    }
}
