//! `mpirun wgrad train`: the processes of a run, of which the first tells and writes, and the others follow it.

use crate::cli::args::train::TrainArgs;
use crate::cli::commands::session::open_data;
use crate::cli::commands::train::{Prepared, prepare};
use crate::cli::mute;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::progress::{Format, Progress};
use crate::counted::counted;
use crate::device::Device;
use crate::device::choice::{Choice, DeviceRequest};
use crate::error::{Error, Result};
use crate::processes::{Communicator, Launch, all_agree, all_done, gather_all, join};
use crate::train::epochs::trainer::Trainer;
use crate::train::processes::Follower;
use crate::train::run::checkpoints::Which;
use crate::train::session::Stopped;
use crate::train::settings::interval::Interval;
use std::cell::Cell;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// The processes of this command.
pub(super) struct Processes {
    others: Arc<dyn Communicator>,
    // The number of this process on its machine, and of how many there.
    local: [usize; 2],
    // Whether all processes have the error that ends them.
    shared: Cell<bool>,
}

impl Processes {
    /// Finds the other processes, where a launcher started several of this command; `required` is how many there must be.
    ///
    /// # Errors
    /// [`Error::Input`] where there are not as many, or they cannot find one another.
    pub(super) fn find(command: &str, required: Option<usize>) -> Result<Option<Processes>> {
        let lacking = |size: usize| match required.filter(|required| *required != size) {
            None => Ok(()),
            Some(required) => {
                let (found, started) = (counted(size, "process"), required.max(2));
                Err(Error::input(format!(
                    "--processes-required {required}: found {found}, expected {required}, started by a launcher of MPI such as \
                     mpirun -n {started}"
                )))
            }
        };
        // Those that cannot find one another have the same to say.
        let found = join().inspect_err(|_| mute(Launch::rank(|name| std::env::var(name).ok()) > 0))?;
        let Some(others) = found else { return lacking(1).map(|()| None) };
        mute(others.rank() > 0);
        let facts = [("version of wgrad", env!("CARGO_PKG_VERSION").to_owned()), ("command", command.to_owned())];
        let agreed = all_agree(&*others, &facts).and_then(|()| all_done(&*others, lacking(others.size())));
        if let Err(error) = agreed {
            return leave_with(&*others, error);
        }
        let hosts = gather_all(&*others, others.host()?.as_bytes())?;
        let here = |ranks: &[Vec<u8>]| ranks.iter().filter(|host| **host == hosts[others.rank()]).count();
        let local = [here(&hosts[..others.rank()]), here(&hosts)];
        Ok(Some(Processes { others, local, shared: Cell::new(false) }))
    }

    /// Whether this process is the first, which tells and writes.
    pub(super) fn is_first(&self) -> bool {
        self.others.rank() == 0
    }

    /// The processes, as a trainer joins them.
    pub(super) fn others(&self) -> &Arc<dyn Communicator> {
        &self.others
    }

    /// Runs a bench in all processes and prints what the first found.
    ///
    /// # Errors
    /// [`Error::Input`] where this process is by itself.
    pub(super) fn bench(run: impl FnOnce(&Processes) -> Result<String>) -> Result<()> {
        let processes = Processes::find("bench", None)?.ok_or_else(|| {
            Error::input(
                "--processes: found one process, expected several, started by a launcher of MPI such as mpirun -n 2",
            )
        })?;
        let found =
            run(&processes).and_then(|text| if processes.is_first() { crate::cli::print(&text) } else { Ok(()) });
        processes.end(found.map(|()| ExitCode::SUCCESS)).map(drop)
    }

    /// How many there are.
    pub(super) fn size(&self) -> usize {
        self.others.size()
    }

    /// The device for this process: those that the request admits are taken in turn.
    pub(super) fn request(&self, request: DeviceRequest) -> DeviceRequest {
        let [turn, _] = self.local;
        DeviceRequest { turn, ..request }
    }

    /// Threads of the native CPU: as requested, else this process's share of the machine's.
    pub(super) fn threads(&self, requested: usize) -> usize {
        let [_, here] = self.local;
        let own = std::thread::available_parallelism().map_or(1, |count| count.get());
        let machine = processors().unwrap_or(own);
        if requested > 0 { requested } else { (machine / here).clamp(1, own) }
    }

    /// What was done here, if all processes could do it.
    pub(super) fn all<T>(&self, done: Result<T>) -> Result<T> {
        let done = all_done(&*self.others, done);
        self.shared.set(done.is_err());
        done
    }

    /// Refuses what the processes have differently.
    pub(super) fn agree(&self, facts: &[(&str, String)]) -> Result<()> {
        let agreed = all_agree(&*self.others, facts);
        self.shared.set(agreed.is_err());
        agreed
    }

    /// Joins the trainers of all processes; the first says what each runs on.
    pub(super) fn join(
        &self,
        trainer: &mut Trainer,
        device: &Device,
        choice: &Choice,
        every: Option<Interval>,
    ) -> Result<()> {
        let every = every.map_or_else(|| "none".into(), |every| every.to_string());
        self.agree(&[("checkpoint-every", every)])?;
        let notes = self.all(pollster::block_on(trainer.join(device, self.others.clone())))?;
        let place = format!("{}: {}", self.others.host()?, choice.device.label());
        let places = gather_all(&*self.others, place.as_bytes())?;
        for (rank, place) in places.iter().enumerate().skip(1) {
            crate::cli::say(&format!("process {rank} on {}", String::from_utf8_lossy(place)));
        }
        let (batch, every) = (trainer.options().batch_size, trainer.options().accumulate as usize);
        crate::cli::say(&format!(
            "{} processes: an update is made of {every} batches of {}",
            self.size(),
            counted(batch, "sample")
        ));
        notes.iter().for_each(|note| crate::cli::say(&format!("note: {note}")));
        Ok(())
    }

    /// Begins or resumes a run by `begin`, which calls what it is given once the trainer is made, before anything is written: so
    /// that nothing is where one process refuses.
    pub(super) fn lead<T>(
        &self,
        choice: &Choice,
        every: Option<Interval>,
        begin: impl FnOnce(&mut dyn FnMut(&mut Trainer, &Device) -> Result<()>) -> Result<T>,
    ) -> Result<T> {
        let (mut made, mut joined) = (false, false);
        let begun = begin(&mut |trainer, device| {
            made = true;
            self.all(Ok(()))?;
            self.join(trainer, device, choice, every)?;
            joined = true;
            Ok(())
        });
        // The others have joined too, or failed to make a trainer, or have this error.
        if !made || joined { self.all(begun) } else { begun }
    }

    /// Joins the first process, which makes the run's folder then.
    fn joined(&self, follower: &mut Follower, device: &Device, choice: &Choice) -> Result<()> {
        let every = follower.every;
        self.join(&mut follower.trainer, device, choice, every)?;
        self.all(Ok(()))
    }

    /// Hears whether the run's error is one of all processes.
    pub(super) fn heard(&self, trainer: &Trainer) {
        self.shared.set(trainer.has_shared_error());
    }

    /// Ends the processes: together, or, after an error that the others do not know of, by force.
    pub(super) fn end(&self, done: Result<ExitCode>) -> Result<ExitCode> {
        match done {
            Err(error) if !self.shared.get() => {
                mute(false);
                let status = crate::cli::status(Err(Error::failed(format!("process {}: {error}", self.others.rank()))));
                self.others.abort(if matches!(error, Error::Input(_)) { 2 } else { 1 });
                Ok(status)
            }
            Err(error) => leave_with(&*self.others, error),
            Ok(status) => self.others.leave().map(|()| status),
        }
    }

    /// Follows the first process to the end of its run.
    pub(super) fn follow(&self, args: &TrainArgs) -> Result<ExitCode> {
        let mut progress = Progress::new(Format::Text, true);
        let followed = match &args.resume {
            None => {
                let Prepared { config, data, first, device, choice } =
                    self.all(prepare(args, &mut progress, Some(self)))?;
                Some((self.all(Follower::begin(config, &data, &first, &device))?, device, choice))
            }
            Some(run) => self.resumed(run, args, &mut progress)?,
        };
        let Some((mut follower, device, choice)) = followed else { return Ok(ExitCode::SUCCESS) };
        self.joined(&mut follower, &device, &choice)?;
        let interrupt = Interrupt::watch()?;
        let driven = pollster::block_on(follower.drive(|| interrupt.asked()));
        self.heard(&follower.trainer);
        // How the run ended is the first process's status.
        driven.map(|()| ExitCode::SUCCESS)
    }

    /// Refuses to resume where the processes find a run at different steps: their folders are others, or one is being written.
    pub(super) fn agree_on(&self, stopped: &Stopped) -> Result<()> {
        let (step, finished) = (stopped.reached().step, stopped.is_finished());
        self.agree(&[("run to resume", format!("step {step}{}", if finished { ", finished" } else { "" }))])
    }

    /// Follows a run that is resumed; `None` if it is finished.
    fn resumed(
        &self,
        run: &Path,
        args: &TrainArgs,
        progress: &mut Progress,
    ) -> Result<Option<(Follower, Device, Choice)>> {
        let which = if args.from_previous { Which::Previous } else { Which::Last };
        let stopped = self.all(Stopped::follow(run, which, &args.flags.0))?;
        self.agree_on(&stopped)?;
        if stopped.is_finished() {
            return self.all(Ok(None));
        }
        let mut open = || {
            let config = stopped.config();
            let asked = crate::cli::request(args.device(config), config.device.as_deref())?;
            let data = open_data(&stopped.data_config(), progress)?;
            let request = self.request(DeviceRequest { require_gpu: config.require_gpu, ..asked });
            let (device, choice) = crate::cli::open(request, self.threads(config.threads))?;
            Ok((data, device, choice))
        };
        let (data, device, choice) = self.all(open())?;
        let follower = self.all(Follower::go_on(&stopped, &data, &device))?;
        Ok(Some((follower, device, choice)))
    }
}

/// Says an error that all processes have, once, and takes leave. A launcher may kill the first process as soon as another ends, so it
/// speaks before that.
fn leave_with<T>(others: &dyn Communicator, error: Error) -> Result<T> {
    crate::cli::say(&format!("error: {error}"));
    mute(true);
    others.leave()?;
    Err(error)
}

/// The processors of the machine, whether or not this process may use all of them.
#[cfg(unix)]
fn processors() -> Option<usize> {
    use nix::unistd::{SysconfVar, sysconf};
    usize::try_from(sysconf(SysconfVar::_NPROCESSORS_ONLN).ok()??).ok()
}

#[cfg(not(unix))]
fn processors() -> Option<usize> {
    None
}
