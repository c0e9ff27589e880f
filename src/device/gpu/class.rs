//! Which form of the heavy kernels a device runs: the one that suits it, or the requested one.

use crate::error::{Error, Result};
use crate::ir::launch::KernelClass;
use wgpu::{AdapterInfo, DeviceType, Features};

/// The environment variable that asks for a form.
pub const VARIABLE: &str = "WGRAD_KERNELS";

/// The subgroup sizes that the lanes form has kernels for.
const LANES: [u32; 3] = [4, 8, 16];

/// A form of the heavy kernels. [`KernelClass`] is the form together with the adapter's subgroup size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Tiles in workgroup memory; every adapter runs them.
    Tile,
    /// Operands passed within a subgroup; for adapters with one fixed subgroup size.
    Lanes,
}

impl Form {
    /// The form that `WGRAD_KERNELS` names; `None` if it is not set, or empty.
    ///
    /// # Errors
    /// [`Error::Input`] for any other word.
    pub fn from_env() -> Result<Option<Form>> {
        let Some(value) = std::env::var_os(VARIABLE) else { return Ok(None) };
        Self::named(&value.to_string_lossy())
    }

    fn named(value: &str) -> Result<Option<Form>> {
        match value {
            "" => Ok(None),
            "tile" => Ok(Some(Form::Tile)),
            "lanes" => Ok(Some(Form::Lanes)),
            other => Err(Error::input(format!("{VARIABLE}={other}: expected `tile` or `lanes`, or no such variable"))),
        }
    }
}

/// The class for an adapter with the features that are on: the requested form, or else lanes for software
/// adapters that can run them and tiles for all others.
///
/// # Errors
/// [`Error::Input`] if lanes are requested and the adapter has no fixed subgroup size.
pub(in crate::device::gpu) fn class_for(
    info: &AdapterInfo,
    features: Features,
    form: Option<Form>,
) -> Result<KernelClass> {
    let (least, most) = (info.subgroup_min_size, info.subgroup_max_size);
    let subgroups = features.contains(Features::SUBGROUP);
    let fits = subgroups && least == most && LANES.contains(&least);
    let suits = if info.device_type == DeviceType::Cpu && fits { Form::Lanes } else { Form::Tile };
    match form.unwrap_or(suits) {
        Form::Tile => Ok(KernelClass::Tile),
        Form::Lanes if fits => Ok(KernelClass::Lanes(least)),
        Form::Lanes => {
            let has = match (subgroups, least == most) {
                (false, _) => "no subgroups".to_string(),
                (true, true) => format!("subgroups of {least} lanes"),
                (true, false) => format!("subgroups of {least} to {most} lanes"),
            };
            Err(Error::input(format!(
                "{VARIABLE}=lanes: {} has {has}; the lanes form needs subgroups of exactly 4, 8 or 16. \
                 {VARIABLE}=tile runs on every adapter",
                info.name
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(device_type: DeviceType, subgroup_min_size: u32, subgroup_max_size: u32) -> AdapterInfo {
        AdapterInfo {
            name: "some adapter".into(),
            subgroup_min_size,
            subgroup_max_size,
            ..AdapterInfo::new(device_type, wgpu::Backend::Vulkan)
        }
    }

    #[test]
    fn a_form_is_a_known_word() {
        assert_eq!(Form::named("tile").unwrap(), Some(Form::Tile));
        assert_eq!(Form::named("lanes").unwrap(), Some(Form::Lanes));
        assert_eq!(Form::named("").unwrap(), None);
        let error = Form::named("tiles").unwrap_err().to_string();
        assert!(error.contains("WGRAD_KERNELS=tiles") && error.contains("`tile` or `lanes`"), "{error}");
    }

    #[test]
    fn the_class_suits_the_adapter_or_is_what_was_asked_for() {
        let (lavapipe, gpu) = (adapter(DeviceType::Cpu, 8, 8), adapter(DeviceType::DiscreteGpu, 32, 32));
        let mixed = adapter(DeviceType::IntegratedGpu, 8, 32);
        let class = |info: &AdapterInfo, form| class_for(info, Features::SUBGROUP, form);
        assert_eq!(class(&lavapipe, None).unwrap(), KernelClass::Lanes(8));
        assert_eq!(class(&lavapipe, Some(Form::Tile)).unwrap(), KernelClass::Tile);
        assert_eq!(class(&gpu, None).unwrap(), KernelClass::Tile);
        let small = adapter(DeviceType::IntegratedGpu, 16, 16);
        assert_eq!(class(&small, None).unwrap(), KernelClass::Tile);
        assert_eq!(class(&small, Some(Form::Lanes)).unwrap(), KernelClass::Lanes(16));
        for (info, features, has) in [
            (&gpu, Features::SUBGROUP, "subgroups of 32 lanes"),
            (&mixed, Features::SUBGROUP, "subgroups of 8 to 32 lanes"),
            (&lavapipe, Features::empty(), "no subgroups"),
        ] {
            let error = class_for(info, features, Some(Form::Lanes)).unwrap_err().to_string();
            assert!(error.contains("some adapter") && error.contains(has), "{error}");
        }
    }
}
