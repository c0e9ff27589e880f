//! The MPI library of this machine, opened at run time: the few calls that training needs, in either binary form that
//! MPI libraries have, and in that of MPI 5's standard.

use crate::error::{Error, Result};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{null_mut, without_provenance_mut};
use std::thread::ThreadId;

/// A communicator or a type as it is passed: an int for MPICH and its kin, a pointer for Open MPI and MPI 5. In the calling
/// conventions of 64-bit Unix systems both are one register, of which an int is the lower half.
type Handle = *mut c_void;

type Exchange = unsafe extern "C" fn(*const c_void, c_int, Handle, *mut c_void, c_int, Handle, Handle) -> c_int;
type Asked = unsafe extern "C" fn(Handle, *mut c_int) -> c_int;
type Text = unsafe extern "C" fn(*mut c_char, *mut c_int) -> c_int;

/// The longest text that any library gives (MPICH's MPI_MAX_LIBRARY_VERSION_STRING).
const TEXT_BYTES: usize = 8192;

/// The library, initialised, with its world of processes.
#[derive(Debug)]
pub(crate) struct Mpi {
    // Never closed: Open MPI crashes at exit if it is.
    library: &'static Library,
    world: Handle,
    byte: Handle,
    thread: ThreadId,
}

// SAFETY: the handles are numbers and addresses that the library alone looks at, and no call is made from another thread than
// the one that initialised it, as `symbol` sees to.
unsafe impl Send for Mpi {}
// SAFETY: as above.
unsafe impl Sync for Mpi {}

impl Mpi {
    /// Opens the library of this name and initialises it, or says why it cannot be opened. A library can be initialised once in a
    /// process.
    ///
    /// # Errors
    /// [`Error::Input`] where the library is no MPI, [`Error::Failed`] where it does not come up.
    pub(crate) fn begin(name: &str) -> Result<std::result::Result<Mpi, String>> {
        if cfg!(not(all(target_endian = "little", target_pointer_width = "64"))) {
            return Err(Error::failed("MPI: found a processor of another kind, expected a little-endian 64-bit one"));
        }
        // SAFETY: a library's initialisers run, as they do in every program that is linked with MPI. Its symbols are global,
        // for the plugins that Open MPI loads.
        let library = match unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) } {
            Ok(library) => library,
            Err(why) => return Ok(Err(why.to_string())),
        };
        let library: &'static Library = Box::leak(Box::new(library));
        let [world, byte] = handles(library, name)?;
        let mpi = Mpi { library, world, byte, thread: std::thread::current().id() };
        type Init = unsafe extern "C" fn(*mut c_int, *mut c_void) -> c_int;
        let init: Symbol<Init> = mpi.symbol("MPI_Init")?;
        // SAFETY: MPI_Init takes null for both arguments.
        done("MPI_Init", unsafe { init(null_mut(), null_mut()) })?;
        Ok(Ok(mpi))
    }

    /// The name and version of the library.
    pub(crate) fn version(&self) -> Result<String> {
        self.text("MPI_Get_library_version")
    }

    /// The name of the machine.
    pub(crate) fn host(&self) -> Result<String> {
        self.text("MPI_Get_processor_name")
    }

    /// The number of this process, and of how many.
    pub(crate) fn place(&self) -> Result<[usize; 2]> {
        let ask = |name: &str| {
            let mut found: c_int = -1;
            let asked: Symbol<Asked> = self.symbol(name)?;
            // SAFETY: the communicator is the library's own, and the result is an int.
            done(name, unsafe { asked(self.world, &raw mut found) })?;
            usize::try_from(found).map_err(|_| Error::failed(format!("{name}: found {found}, expected no less than 0")))
        };
        Ok([ask("MPI_Comm_rank")?, ask("MPI_Comm_size")?])
    }

    /// What each process passes, in their order; all pass as much.
    pub(crate) fn all_gather(&self, mine: &[u8], all: &mut [u8]) -> Result<()> {
        self.exchange("MPI_Allgather", mine, all, mine.len(), mine.len())
    }

    /// A part of `mine` for each process, in exchange for theirs.
    pub(crate) fn all_to_all(&self, mine: &[u8], parts: &mut [u8]) -> Result<()> {
        let [_, size] = self.place()?;
        let part = mine.len() / size.max(1);
        self.exchange("MPI_Alltoall", mine, parts, part, part * size)
    }

    /// Takes leave of the other processes, which all do so; no call may follow.
    pub(crate) fn end(&self) -> Result<()> {
        let end: Symbol<unsafe extern "C" fn() -> c_int> = self.symbol("MPI_Finalize")?;
        // SAFETY: it was initialised, and no exchange is under way.
        done("MPI_Finalize", unsafe { end() })
    }

    /// Ends all processes with this status.
    pub(crate) fn abort(&self, status: u8) -> Result<()> {
        let abort: Symbol<unsafe extern "C" fn(Handle, c_int) -> c_int> = self.symbol("MPI_Abort")?;
        // SAFETY: the communicator is the library's own.
        done("MPI_Abort", unsafe { abort(self.world, status.into()) })
    }

    /// An exchange that reads `sent` bytes, and gets a part of each process.
    fn exchange(&self, name: &str, mine: &[u8], theirs: &mut [u8], part: usize, sent: usize) -> Result<()> {
        let [_, size] = self.place()?;
        let fits = part.checked_mul(size) == Some(theirs.len()) && sent == mine.len();
        let Some(count) = c_int::try_from(part).ok().filter(|_| fits) else {
            let (mine, theirs) = (mine.len(), theirs.len());
            return Err(Error::failed(format!("{name}: {mine} bytes for {theirs}, in parts of {part} of {size}")));
        };
        // The address of no bytes may be 1, which is Open MPI's MPI_IN_PLACE.
        if count == 0 {
            return Ok(());
        }
        let exchange: Symbol<Exchange> = self.symbol(name)?;
        // SAFETY: `theirs` has the room for a part of each process, which was held to the number of processes, and `mine` has a
        // part, or one for each process.
        done(name, unsafe {
            exchange(mine.as_ptr().cast(), count, self.byte, theirs.as_mut_ptr().cast(), count, self.byte, self.world)
        })
    }

    fn text(&self, name: &str) -> Result<String> {
        let (mut text, mut length) = (vec![0u8; TEXT_BYTES], 0);
        let get: Symbol<Text> = self.symbol(name)?;
        // SAFETY: there is room for the longest text that a library gives.
        done(name, unsafe { get(text.as_mut_ptr().cast(), &raw mut length) })?;
        text.truncate(usize::try_from(length).unwrap_or(0));
        Ok(String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned())
    }

    /// A function of the library, which may be called from the thread that initialised it.
    fn symbol<F>(&self, name: &str) -> Result<Symbol<F>> {
        if std::thread::current().id() != self.thread {
            return Err(Error::failed(format!("{name}: called from another thread, expected the one that began MPI")));
        }
        // SAFETY: the name is one of MPI's standard, which says its type; the library stays open.
        unsafe { self.library.get(name.as_bytes()) }.map_err(|e| Error::failed(format!("MPI: {name}: {e}")))
    }
}

/// The handles of the world and of a byte in the form of this library.
fn handles(library: &Library, name: &str) -> Result<[Handle; 2]> {
    // SAFETY: only the address is taken.
    let address = |symbol: &str| unsafe { library.get::<*mut c_void>(symbol.as_bytes()) }.map(|s| s.into_raw()).ok();
    if address("MPI_Init").is_none() {
        return Err(Error::input(format!("{name}: found no MPI_Init in it, expected an MPI library")));
    }
    if name.contains("mpi_abi") {
        return Ok([0x101, 0x247].map(without_provenance_mut));
    }
    match (address("ompi_mpi_comm_world"), address("ompi_mpi_byte")) {
        (Some(world), Some(byte)) => Ok([world, byte]),
        _ => Ok([0x4400_0000, 0x4c00_010d].map(without_provenance_mut)),
    }
}

fn done(name: &str, status: c_int) -> Result<()> {
    if status == 0 { Ok(()) } else { Err(Error::failed(format!("{name}: found status {status}, expected 0"))) }
}
