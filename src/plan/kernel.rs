//! Kernels: WGSL sources and their reflection by naga. The host never repeats a binding or a size.

use crate::error::{Error, Result};
use crate::ir::launch::Source;
use crate::plan::template::{self, Shared};
use std::collections::BTreeMap;

macro_rules! library {
    ($($name:ident)*) => {
        /// The texts that shaders share: the files of `shaders/lib/`.
        pub const LIBRARY: &[Shared] = &[$((
            stringify!($name),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/lib/", stringify!($name), ".wgsl")),
        )),*];
    };
}

library! {
    accumulate
    activation
    activation_lanes
    bias_lanes
    bilinear
    column_pairs
    column_sums
    control
    conv_lanes
    each_loss
    eight_sums
    epilogue
    epilogue_normal
    epilogue_normal_lanes
    functions
    gemm
    gemm_few_lanes
    gemm_fours
    gemm_lanes
    gemm_single
    gemm_tn_lanes
    group_runs
    grouped
    grouped_dw
    grouped_dx
    heads
    heads_keys_tile
    heads_lanes
    heads_tile
    items_lanes
    lane_sums
    lanes_tile
    logits
    logits_given
    matrix_lanes
    normal
    patch
    patch_dw_lanes
    patch_lanes
    pool
    pool_area
    pool_dx
    product_rows
    random
    recurrence
    recurrence_dx
    recurrence_ends
    recurrence_group
    recurrence_rows
    row_by_row
    row_lengths
    row_runs
    sample
    standardise
    standardise_dx
    step_end
    store_masked_lanes
    store_pool
    store_rows
    store_window
    stored
    sum_parts
    sum_rows
    tanh
    taps_lanes
    texel
    update
    vectors
    warp
    wild
    window
}

/// The object of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// A storage buffer.
    Buffer,
    /// A storage texture of four floats per texel, `TEXELS` of them per row.
    Texture,
}

/// Texels of a row of every texture: element `4·i` of a tensor begins texel (i mod TEXELS, i / TEXELS). Kernels know it
/// as the constant `texels`.
pub const TEXELS: usize = 1024;

/// One storage binding of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The variable's name.
    pub name: String,
    /// Its number within group 0.
    pub number: u32,
    /// Whether the kernel writes it.
    pub writes: bool,
    /// The tensor that is bound to it.
    pub space: Space,
}

/// A kernel's text and what naga reads off it.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The stem of its file.
    pub name: &'static str,
    /// The WGSL, expanded.
    pub text: String,
    /// Its storage bindings, by number.
    pub bindings: Vec<Binding>,
    /// The invocations of a workgroup.
    pub workgroup: u32,
    /// The names of its override constants, and whether each has a default.
    pub overrides: BTreeMap<String, bool>,
    /// The module, for further translation.
    pub module: naga::Module,
}

impl Source {
    /// Expands and reflects the file; an error is a defect of the shader and names it.
    pub fn reflect(&self, params: &[(&'static str, i64)]) -> Result<Kernel> {
        let fault = |why: String| Error::failed(format!("kernel {}: {why}", self.name));
        let expanded = template::expand(self.text, params, LIBRARY).map_err(fault)?;
        let text = expanded.text;
        let module = naga::front::wgsl::parse_str(&text).map_err(|e| {
            let line = e.location(&text).and_then(|at| expanded.origins.get(at.line_number as usize - 1));
            let place = line.map_or(String::new(), |line| format!("{line}: "));
            fault(format!("{place}{}", e.emit_to_string_with_path(&text, self.name)))
        })?;
        let [entry] = module.entry_points.as_slice() else {
            return Err(fault(format!("{} entry points where one is expected", module.entry_points.len())));
        };
        if entry.name != "main" || entry.workgroup_size_overrides.is_some() {
            return Err(fault("the entry point must be `main`, with a literal workgroup size".into()));
        }
        let workgroup = entry.workgroup_size.iter().product();
        let mut bindings = Vec::new();
        for (_, variable) in module.global_variables.iter() {
            let (access, space) = match (variable.space, &module.types[variable.ty].inner) {
                (naga::AddressSpace::Storage { access }, _) => (access, Space::Buffer),
                (_, naga::TypeInner::Image { class: naga::ImageClass::Storage { access, format }, .. }) => {
                    if *format != naga::StorageFormat::Rgba32Float {
                        return Err(fault(format!("a texture of {format:?}, where Rgba32Float is expected")));
                    }
                    (*access, Space::Texture)
                }
                _ => continue,
            };
            let (Some(name), Some(binding)) = (&variable.name, &variable.binding) else {
                return Err(fault("a storage variable without name or binding".into()));
            };
            if binding.group != 0 {
                return Err(fault(format!("`{name}` is in group {}, not 0", binding.group)));
            }
            let writes = access.contains(naga::StorageAccess::STORE);
            bindings.push(Binding { name: name.clone(), number: binding.binding, writes, space });
        }
        bindings.sort_by_key(|b| b.number);
        let overrides =
            module.overrides.iter().filter_map(|(_, o)| Some((o.name.clone()?, o.init.is_some()))).collect();
        Ok(Kernel { name: self.name, text, bindings, workgroup, overrides, module })
    }
}
