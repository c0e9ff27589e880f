//! Every kernel keeps to the portable limits and is translated to every language that its features allow.

#[path = "common/adapter.rs"]
mod adapter;
#[path = "common/plans.rs"]
mod plans;

use naga::back::{glsl, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage};
use plans::{CLASSES, case_plans, preset_plans};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use wgrad::device::Device;
use wgrad::device::gpu::open::{OpenOptions, open};
use wgrad::device::gpu::pipelines::{Key, key};
use wgrad::plan::kernel::Kernel;

/// Every kernel with every set of constants that a case or a preset gives it.
fn kernels() -> BTreeMap<Key, Arc<Kernel>> {
    let presets = CLASSES.into_iter().flat_map(preset_plans).map(|(_, plan)| plan);
    let mut all = BTreeMap::new();
    for plan in presets.chain(case_plans().into_iter().map(|(_, _, plan)| plan)) {
        for dispatch in &plan.dispatches {
            all.entry(key(dispatch)).or_insert_with(|| plan.kernels[&dispatch.kernel].clone());
        }
    }
    all
}

/// The module with its constants filled in, and naga's facts about it.
fn specialised((id, constants): &Key, kernel: &Kernel) -> (Module, ModuleInfo) {
    let info = validator().validate(&kernel.module).unwrap_or_else(|e| panic!("{id}: {e:?}"));
    let values = constants.iter().map(|(name, bits)| (name.clone(), f64::from_bits(*bits))).collect();
    let entry = Some((ShaderStage::Compute, "main"));
    let (module, info) =
        process_overrides(&kernel.module, &info, entry, &values).unwrap_or_else(|e| panic!("{id}: {e:?}"));
    (module.into_owned(), info.into_owned())
}

/// Nothing but WebGPU's core and subgroups is allowed to any kernel.
fn validator() -> Validator {
    Validator::new(ValidationFlags::all(), Capabilities::SUBGROUP)
}

/// Whether WebGPU's core alone is enough for the module.
fn is_portable(module: &Module) -> bool {
    Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(module).is_ok()
}

/// The languages, checked and unchecked, with what went wrong; SPIR-V is given back for further checks.
fn translate(module: &Module, info: &ModuleInfo, portable: bool) -> Result<Vec<Vec<u32>>, String> {
    let entry = || Some((ShaderStage::Compute, "main".to_string()));
    let mut words = Vec::new();
    for policy in [BoundsCheckPolicy::Unchecked, BoundsCheckPolicy::Restrict] {
        let policies = BoundsCheckPolicies { index: policy, buffer: policy, image_load: policy, binding_array: policy };
        let options = spv::Options { lang_version: (1, 3), bounds_check_policies: policies, ..spv::Options::default() };
        let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".into() };
        words.push(spv::write_vec(module, info, &options, Some(&pipeline)).map_err(|e| format!("SPIR-V 1.3: {e}"))?);

        // simd_shuffle came with Metal 2.1.
        let lang_version = if portable { (2, 0) } else { (2, 1) };
        let options = msl::Options { lang_version, bounds_check_policies: policies, ..msl::Options::default() };
        let pipeline = msl::PipelineOptions { entry_point: entry(), ..msl::PipelineOptions::default() };
        msl::write_string(module, info, &options, &pipeline).map_err(|e| format!("MSL: {e}"))?;
    }
    // HLSL has subgroups from shader model 6.0 on.
    let models = [hlsl::ShaderModel::V6_0, hlsl::ShaderModel::V5_1];
    for shader_model in &models[..if portable { 2 } else { 1 }] {
        let options = hlsl::Options { shader_model: *shader_model, ..hlsl::Options::default() };
        let (mut text, pipeline) = (String::new(), hlsl::PipelineOptions { entry_point: entry() });
        let written = hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None);
        written.map_err(|e| format!("HLSL {shader_model:?}: {e}"))?;
    }
    let versions = [glsl::Version::new_gles(310), glsl::Version::Desktop(430)];
    for version in &versions[..if portable { 2 } else { 0 }] {
        let options = glsl::Options { version: *version, ..glsl::Options::default() };
        let pipeline =
            glsl::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".into(), multiview: None };
        let (mut text, policies) = (String::new(), BoundsCheckPolicies::default());
        let writer = glsl::Writer::new(&mut text, module, info, &options, &pipeline, policies);
        let written = writer.and_then(|mut writer| writer.write());
        written.map_err(|e| format!("GLSL {version:?}: {e}"))?;
    }
    Ok(words)
}

#[test]
fn every_kernel_is_valid_and_translates_to_every_language_that_it_may() {
    let kernels = kernels();
    let done: Vec<(String, bool, Vec<Vec<u32>>)> = kernels
        .par_iter()
        .map(|(key, kernel)| {
            let (module, info) = specialised(key, kernel);
            let portable = is_portable(&kernel.module);
            assert_eq!(portable, !kernel.text.contains("subgroup"), "{}: subgroups and nothing else", key.0);
            let words = translate(&module, &info, portable).unwrap_or_else(|e| panic!("{}: {e}", key.0));
            (key.0.to_string(), portable, words)
        })
        .collect();
    let portable = done.iter().filter(|(_, portable, _)| *portable).count();
    println!("{} kernels with constants, {portable} of them portable", done.len());
    assert!(portable > 100 && portable < done.len(), "{portable} of {}", done.len());
    spirv_val(&done);
}

/// Checks the SPIR-V with the Khronos validator; if it is not installed, a note says so.
fn spirv_val(done: &[(String, bool, Vec<Vec<u32>>)]) {
    if Command::new("spirv-val").arg("--version").output().is_err() {
        // Not `eprintln!`, which the test harness keeps to itself where a test passes.
        let note = "note: spirv-val is not installed (package spirv-tools): the SPIR-V is held to naga alone";
        writeln!(std::io::stderr(), "{note}").expect("stderr can be written");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let check = |(n, (name, _, words)): (usize, &(String, bool, Vec<Vec<u32>>))| {
        for (form, words) in words.iter().enumerate() {
            let path = folder.path().join(format!("{n}-{form}.spv"));
            validate(name, words, &path);
        }
    };
    // Constants change values, not the form: one set for each expansion is enough for this slower check.
    let mut first = BTreeMap::new();
    for (n, one) in done.iter().enumerate() {
        first.entry(&one.0).or_insert((n, one));
    }
    first.into_values().par_bridge().for_each(check);
}

fn validate(name: &str, words: &[u32], path: &Path) {
    std::fs::write(path, bytemuck::cast_slice(words)).expect("the SPIR-V is written");
    let output = Command::new("spirv-val").args(["--target-env", "vulkan1.1"]).arg(path).output().expect("it runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

/// WebGPU's default limits, reflected: no host code says them a second time.
#[test]
fn every_kernel_keeps_to_the_portable_limits() {
    for (key, kernel) in &kernels() {
        let (module, _) = specialised(key, kernel);
        let id = &key.0;
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap_or_else(|e| panic!("{id}: {e}"));
        let in_space = |wanted: fn(AddressSpace) -> bool| {
            module.global_variables.iter().filter(move |(_, variable)| wanted(variable.space))
        };
        let shared: u32 =
            in_space(|s| s == AddressSpace::WorkGroup).map(|(_, v)| layouter[v.ty].size.next_multiple_of(16)).sum();
        let storage = in_space(|s| matches!(s, AddressSpace::Storage { .. })).count();
        let textures = in_space(|s| s == AddressSpace::Handle).count();
        let entry = &module.entry_points[0];
        assert!(shared <= 16 << 10, "{id}: {shared} bytes of workgroup memory");
        assert!(storage <= 8 && textures <= 4, "{id}: {storage} storage buffers, {textures} storage textures");
        assert_eq!(storage + textures, kernel.bindings.len(), "{id}: what is bound");
        assert!(entry.workgroup_size.iter().product::<u32>() <= 256, "{id}: {:?}", entry.workgroup_size);
        assert!(entry.workgroup_size[2] <= 64, "{id}: {:?}", entry.workgroup_size);
        let others =
            in_space(|s| matches!(s, AddressSpace::Uniform | AddressSpace::Immediate | AddressSpace::Function));
        assert_eq!(others.count(), 0, "{id}: only storage, workgroup and private variables");
    }
}

/// With WebGPU's default limits forced on every adapter, the presets are planned, and train a step as the oracle does.
fn train_a_step_within_webgpus_default_limits(mine: impl Fn(&str) -> bool) {
    for (candidate, adapter) in adapter::usable() {
        let options = OpenOptions { portable_limits: true, ..OpenOptions::default() };
        let gpu = pollster::block_on(open(&adapter, options)).expect("the adapter opens");
        let floor = wgpu::Limits::defaults();
        let storage = gpu.limits.max_storage_buffers_per_shader_stage;
        assert_eq!((storage, gpu.limits.max_buffer_size), (8, floor.max_buffer_size), "{}", candidate.label());
        let device = Device::Gpu(Arc::new(gpu));
        let quick = |name: &&str| !wgrad::model::presets::SLOW.contains(name) && mine(name);
        for name in wgrad::model::presets::names().into_iter().filter(quick) {
            let found = wgrad::verify::models::check(&device, &plans::preset(name), false).expect("a step");
            assert_eq!(found.verdict, "pass", "{}: {found:?}", candidate.label());
            // Normalisations, recurrences and attention round, all else of these models does not.
            let text = plans::preset(name).to_toml();
            let rounds = ["batch_norm", "lstm", "gru", "transformer"].iter().any(|layer| text.contains(layer));
            assert_eq!(found.end_to_end, !rounds, "{name}");
        }
    }
}

/// Presets whose kernels others have, too, and whose oracle takes minutes: `wgrad verify` trains their step.
const LONG: [&str; 2] = ["gpt-mini", "translator-transformer"];

/// The largest preset, which has a test to itself.
const LARGEST: &str = "resnet-small";

#[test]
fn the_presets_train_a_step_within_webgpus_default_limits() {
    train_a_step_within_webgpus_default_limits(|name| name != LARGEST && !LONG.contains(&name));
}

#[test]
fn the_largest_preset_trains_a_step_within_webgpus_default_limits() {
    assert!(wgrad::model::presets::names().contains(&LARGEST));
    train_a_step_within_webgpus_default_limits(|name| name == LARGEST);
}
