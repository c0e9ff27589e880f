//! Whether a launcher of MPI has started this process as one of several: by the variables that it sets.

use crate::error::{Error, Result};
use crate::processes::Communicator;
use std::sync::Arc;

/// What the environment says of the launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launch {
    /// This process is by itself.
    Single,
    /// It is one of several, started by Open MPI or by another MPI.
    Several {
        /// Whether it is Open MPI's launcher.
        open_mpi: bool,
        /// The number of processes, if the variables have it.
        size: Option<usize>,
    },
    /// Slurm's `srun` started this many processes without MPI: they cannot find one another.
    Unconnected(usize),
}

impl Launch {
    /// Reads the variables by `get`: those of Open MPI, of PMI (MPICH, Intel MPI, `srun --mpi=pmi2`), of PMIx (`srun --mpi=pmix`),
    /// and of Slurm.
    pub fn of(get: impl Fn(&str) -> Option<String>) -> Launch {
        let number = |name: &str| get(name)?.trim().parse::<usize>().ok();
        let open_mpi = number("OMPI_COMM_WORLD_SIZE");
        let tasks = number("SLURM_STEP_NUM_TASKS").filter(|tasks| *tasks > 1);
        match (open_mpi, number("PMI_SIZE"), number("PMIX_RANK")) {
            (Some(size), _, _) if size > 1 => Launch::Several { open_mpi: true, size: Some(size) },
            (None, Some(size), _) if size > 1 => Launch::Several { open_mpi: false, size: Some(size) },
            // Slurm tells the number; PMIx itself does not.
            (None, None, Some(_)) => Launch::Several { open_mpi: true, size: tasks },
            (None, None, None) => tasks.map_or(Launch::Single, Launch::Unconnected),
            _ => Launch::Single,
        }
    }
}

impl Launch {
    /// The number of this process by the launcher's variables, 0 where none tells it.
    pub fn rank(get: impl Fn(&str) -> Option<String>) -> usize {
        let told = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"];
        told.iter().find_map(|name| get(name)?.trim().parse().ok()).unwrap_or(0)
    }
}

/// Finds the other processes, where a launcher has started several.
///
/// # Errors
/// [`Error::Input`] if they cannot find one another, or the MPI library is missing.
pub fn join() -> Result<Option<Arc<dyn Communicator>>> {
    let world = match Launch::of(|name| std::env::var(name).ok()) {
        Launch::Single => return Ok(None),
        Launch::Unconnected(tasks) => {
            return Err(Error::input(format!(
                "srun started {tasks} processes that cannot find one another, expected one, or srun --mpi=pmi2 or --mpi=pmix"
            )));
        }
        Launch::Several { open_mpi, size } => world(open_mpi, size)?,
    };
    Ok(Some(world).filter(|world| world.size() > 1))
}

#[cfg(all(unix, feature = "mpi"))]
fn world(open_mpi: bool, size: Option<usize>) -> Result<Arc<dyn Communicator>> {
    super::mpi::world(open_mpi, size)
}

#[cfg(not(all(unix, feature = "mpi")))]
fn world(_: bool, _: Option<usize>) -> Result<Arc<dyn Communicator>> {
    Err(Error::input("a launcher of MPI started several processes, but this wgrad was built without the feature mpi"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launcher_is_known_by_its_variables() {
        let several = |open_mpi, size| Launch::Several { open_mpi, size };
        for (set, expected) in [
            (&[][..], Launch::Single),
            (
                &[("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "1"), ("PMIX_RANK", "1")],
                several(true, Some(4)),
            ),
            (&[("OMPI_COMM_WORLD_SIZE", "1"), ("PMIX_RANK", "0")], Launch::Single),
            (&[("PMI_SIZE", "2"), ("PMI_RANK", "0")], several(false, Some(2))),
            (&[("PMI_SIZE", "1"), ("SLURM_STEP_NUM_TASKS", "1")], Launch::Single),
            (&[("PMIX_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "8")], several(true, Some(8))),
            (&[("PMIX_RANK", "0")], several(true, None)),
            (&[("SLURM_STEP_NUM_TASKS", "4"), ("SLURM_PROCID", "2")], Launch::Unconnected(4)),
            (&[("SLURM_STEP_NUM_TASKS", "1")], Launch::Single),
            (&[("PMI_SIZE", "x")], Launch::Single),
        ] {
            let get = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(Launch::of(get), expected, "{set:?}");
        }
    }
}
