//! Processes that an MPI launcher has started.

use crate::counted::counted;
use crate::error::{Error, Result};
use crate::processes::Communicator;
use crate::sys::mpi;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The variable that names the library to open, where another is found than the launcher's.
const LIBRARY: &str = "WGRAD_MPI";

/// Libraries in the form of Open MPI, of MPICH (also Intel's, Cray's and MVAPICH's), and of MPI 5's standard.
const OPEN_MPI: [&str; 2] = ["libmpi.so.40", "libmpi.40.dylib"];
const MPICH: [&str; 4] = ["libmpich.so.12", "libmpi.so.12", "libmpi.12.dylib", "libmpich.12.dylib"];
const STANDARD: [&str; 2] = ["libmpi_abi.so.1", "libmpi_abi.so.0"];

/// The world of processes by MPI.
#[derive(Debug)]
struct World {
    mpi: mpi::Mpi,
    rank: usize,
    size: usize,
    left: AtomicBool,
}

/// Opens the launcher's MPI, Open MPI or another, of which `size` processes are expected, where that is known.
pub(super) fn world(is_open_mpi: bool, expected: Option<usize>) -> Result<Arc<dyn Communicator>> {
    let named = std::env::var(LIBRARY).ok().filter(|name| !name.is_empty());
    let names: Vec<&str> = match (&named, is_open_mpi) {
        (Some(name), _) => vec![name],
        (None, true) => [&OPEN_MPI[..], &STANDARD, &MPICH].concat(),
        (None, false) => [&MPICH[..], &STANDARD, &OPEN_MPI].concat(),
    };
    for name in &names {
        let mpi = match mpi::Mpi::begin(name)? {
            Ok(mpi) => mpi,
            Err(why) if named.is_some() => return Err(Error::input(format!("{LIBRARY}={name}: {why}"))),
            Err(_) => continue,
        };
        let [rank, size] = mpi.place()?;
        // A library that is not the launcher's takes each process for the only one.
        if expected.is_some_and(|expected| expected != size) {
            let (expected, version) = (expected.unwrap_or_default(), mpi.version()?);
            let version = version.lines().next().unwrap_or_default().trim().to_owned();
            return Err(Error::input(format!(
                "MPI: found {} by {name} ({version}), where the launcher started {expected}: it is another MPI's; \
                 set {LIBRARY} to the launcher's own library",
                counted(size, "process")
            )));
        }
        return Ok(Arc::new(World { mpi, rank, size, left: AtomicBool::new(false) }));
    }
    let installs = if is_open_mpi { "apt install libopenmpi3" } else { "apt install libmpich12" };
    Err(Error::input(format!(
        "MPI: the launcher started several processes, but found no {}; install the launcher's MPI library (Debian, Ubuntu: \
         {installs}), or set {LIBRARY} to its file",
        names.join(", ")
    )))
}

impl Communicator for World {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn host(&self) -> Result<String> {
        self.mpi.host()
    }

    fn all_gather(&self, mine: &[u8]) -> Result<Vec<u8>> {
        let mut all = vec![0; mine.len() * self.size];
        self.mpi.all_gather(mine, &mut all)?;
        Ok(all)
    }

    fn all_to_all(&self, mine: &[u8]) -> Result<Vec<u8>> {
        let mut parts = vec![0; mine.len()];
        self.mpi.all_to_all(mine, &mut parts)?;
        Ok(parts)
    }

    fn leave(&self) -> Result<()> {
        if self.left.swap(true, Ordering::SeqCst) { Ok(()) } else { self.mpi.end() }
    }

    fn abort(&self, status: u8) {
        if !self.left.swap(true, Ordering::SeqCst) {
            // It does not come back; where it cannot be called, the process ends by its own status.
            let _ = self.mpi.abort(status);
        }
    }
}
