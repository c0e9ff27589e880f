//! The only unsafe code: thin wrappers, each with the reason why it is sound.
#![allow(unsafe_code)]

pub(crate) mod kept;
#[cfg(all(unix, feature = "mpi"))]
pub(crate) mod mpi;

/// Sizes and manner of a matrix product.
#[derive(Clone, Copy, Debug)]
pub struct Gemm {
    /// Rows of y, columns of y, terms of a sum.
    pub sizes: [usize; 3],
    /// Whether the product is added to y.
    pub accumulate: bool,
    /// Whether the threads of the current rayon pool share the work.
    pub parallel: bool,
    /// The distance from one row of y to the next.
    pub y_row: usize,
}

impl Gemm {
    /// On this thread alone.
    pub fn serial(sizes: [usize; 3]) -> Self {
        Gemm { sizes, accumulate: false, parallel: false, y_row: sizes[1] }
    }

    /// On all threads, where it is worth it.
    pub fn parallel(sizes: [usize; 3]) -> Self {
        Gemm { parallel: sizes.iter().product::<usize>() > 100_000, ..Gemm::serial(sizes) }
    }
}

/// `y = a · b`, or `y += a · b`, in single precision.
///
/// With sizes [m, n, k], y is [m, n], its rows one after the other or `y_row` apart; a and b come with the distances from
/// one row and from one column to the next. Panics where a slice is too short, before anything is touched.
pub fn gemm(
    Gemm { sizes: [m, n, k], accumulate, parallel, y_row }: Gemm,
    y: &mut [f32],
    (a, [a_row, a_column]): (&[f32], [usize; 2]),
    (b, [b_row, b_column]): (&[f32], [usize; 2]),
) {
    assert!(m > 0 && n > 0 && k > 0 && y_row >= n, "gemm: an empty operand, or rows of y that overlap");
    assert!(y.len() >= (m - 1) * y_row + n, "gemm: y is too short");
    assert!(a.len() > (m - 1) * a_row + (k - 1) * a_column, "gemm: a is too short");
    assert!(b.len() > (k - 1) * b_row + (n - 1) * b_column, "gemm: b is too short");
    let threads = match parallel {
        false => gemm_common::Parallelism::None,
        true => gemm_common::Parallelism::Rayon(rayon::current_num_threads()),
    };
    // Its kernels want y by columns: what they are given is the transposed product, yᵀ = bᵀ · aᵀ.
    let product = gemm_f32::gemm::f32::get_gemm_fn();
    // SAFETY: the assertions bound the last element that each operand's strides reach, no two elements of y are one,
    // and y is borrowed mutably and so aliases neither a nor b.
    unsafe {
        product(
            n,
            m,
            k,
            y.as_mut_ptr(),
            y_row as isize,
            1,
            accumulate,
            b.as_ptr(),
            b_row as isize,
            b_column as isize,
            a.as_ptr(),
            a_row as isize,
            a_column as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}

/// A pipeline cache that begins with `kept`, or empty if there is none or the driver does not want it.
pub fn pipeline_cache(device: &wgpu::Device, kept: Option<&kept::Kept>) -> wgpu::PipelineCache {
    let data = kept.map(|kept| kept.data());
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("pipelines"), data, fallback: true };
    // SAFETY: the data must have come from `get_data`. `Kept` is made from nothing but a file in the user's own cache
    // folder that this crate wrote from `get_data`, for the same adapter and driver, with length and check sum
    // right. wgpu and the driver hold their own headers to the device besides, and pass over what does not fit.
    unsafe { device.create_pipeline_cache(&descriptor) }
}

/// Builds a shader module without bounds checks and loop bounds of naga's own.
pub fn trusted_module(device: &wgpu::Device, label: &str, wgsl: &str) -> wgpu::ShaderModule {
    let source = wgpu::ShaderSource::Wgsl(wgsl.into());
    let descriptor = wgpu::ShaderModuleDescriptor { label: Some(label), source };
    // SAFETY: only shaders of this crate come here. Each is run at awkward shapes against an oracle, checked and
    // unchecked, by the tests and on the user's own adapter by `wgrad verify`; none has an endless loop.
    unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
}

/// Makes this process fit for the command: a limit on the size of files (`ulimit -f`) is an error of the write and no
/// signal, and the OpenGL driver, which looks for a display, does not complain of a variable that is not set.
///
/// Call it first in `main`.
#[cfg(all(unix, feature = "cli"))]
pub fn begin_command() {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    const RUNTIME: &str = "XDG_RUNTIME_DIR";
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: to ignore a signal runs no code at all. It cannot fail for this signal.
    let _ = unsafe { sigaction(Signal::SIGXFSZ, &ignore) };
    if std::env::var_os(RUNTIME).is_none() {
        // SAFETY: `main` has not started any thread yet that could read the environment meanwhile.
        unsafe { std::env::set_var(RUNTIME, "/nonexistent") };
    }
}

/// Systems without these.
#[cfg(all(not(unix), feature = "cli"))]
pub fn begin_command() {}

/// Sets handlers of signals by `set`, but leaves the hang-up of a terminal ignored where it was, as `nohup` has it.
#[cfg(all(unix, feature = "cli"))]
pub fn with_nohup<T>(set: impl FnOnce() -> T) -> T {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: to ignore a signal runs no code at all.
    let old = unsafe { sigaction(Signal::SIGHUP, &ignore) };
    let result = set();
    if old.is_ok_and(|old| matches!(old.handler(), SigHandler::SigIgn)) {
        // SAFETY: as above. It can fail only where the signal is unknown, and then it would have failed before.
        let _ = unsafe { sigaction(Signal::SIGHUP, &ignore) };
    }
    result
}

/// Systems without that signal.
#[cfg(all(not(unix), feature = "cli"))]
pub fn with_nohup<T>(set: impl FnOnce() -> T) -> T {
    set()
}
