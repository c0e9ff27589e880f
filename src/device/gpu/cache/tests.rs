use crate::device::gpu::adapter::usable_adapters;
use crate::device::gpu::cache::*;
use crate::device::gpu::executor::Executor;
use crate::device::gpu::open::{OpenOptions, Opened, open};
use crate::device::gpu::{class_of, limits_of};
use crate::ir::case::Case;
use crate::ir::graph::DType;
use crate::ir::op::Out;
use crate::ir::values::Values;
use crate::ops::matmul::matmul_nn::MatmulNn;
use crate::plan::lower::{Target, lower};
use std::sync::Arc;

const KEY: &str = "adapter / name / driver / 1.2 (a)";

#[test]
fn a_file_is_taken_only_whole_unaltered_and_for_its_own_driver() {
    let data: Vec<u8> = (0..100).collect();
    let good = pack(&data, KEY);
    let taken = |bytes: &[u8], key: &str| Kept::unpack(bytes, key).map(|kept| kept.data().to_vec());
    assert_eq!(taken(&good, KEY), Some(data.clone()));
    assert_eq!(taken(&pack(&[], KEY), KEY), Some(Vec::new()));
    for other in ["", "adapter / name / driver / 1.3 (a)", "adapter / name / driver / 1.2 (a)\n"] {
        assert_eq!(taken(&good, other), None, "{other:?}");
    }
    for length in 0..good.len() {
        assert_eq!(taken(&good[..length], KEY), None, "cut to {length}");
    }
    for bit in 0..8 * good.len() {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(taken(&bad, KEY), None, "bit {bit}");
    }
    assert_eq!(taken(&[&good[..], &[0]].concat(), KEY), None, "longer than it says");
}

/// An adapter of this machine that has a pipeline cache; none of them is required to.
fn adapter() -> Option<wgpu::Adapter> {
    let has = |adapter: &wgpu::Adapter| adapter.features().contains(wgpu::Features::PIPELINE_CACHE);
    usable_adapters().into_iter().find(|(_, adapter)| has(adapter)).map(|(_, adapter)| adapter)
}

/// Opens the adapter with a folder of pipelines, and computes a product whose every element is checked.
fn run(adapter: &wgpu::Adapter, folder: &Path) -> Arc<Opened> {
    let options = OpenOptions { pipelines: Some(folder.into()), ..OpenOptions::default() };
    let opened = Arc::new(pollster::block_on(open(adapter, options)).unwrap());
    // Small integers: their products and sums are exact.
    let case = Case::new(MatmulNn::default()).integers([33, 33], 3).integers([33, 33], 3);
    let (graph, x, y) = case.graph().unwrap();
    let plan = lower(&graph, Target { class: class_of(&opened), limits: limits_of(&opened), reuse: true }).unwrap();
    let mut executor = Executor::new(opened.clone(), plan, None, false).unwrap();
    for (&t, (_, values)) in x.iter().zip(&case.x) {
        executor.write(t, values.bytes()).unwrap();
    }
    executor.submit(1).unwrap();
    let found = pollster::block_on(executor.read(y[0])).unwrap();
    let (args, mut wanted) = (case.x.iter().map(|(info, values)| values.arg(0, &info.shape.0)), vec![0.0; 33 * 33]);
    case.op.reference_f32(&args.collect::<Vec<_>>(), &mut [Out::Float(&mut wanted)]);
    assert_eq!(Values::from_bytes(DType::F32, &found), Values::Float(wanted));
    opened.state.check().unwrap();
    opened
}

#[test]
fn the_second_start_reads_what_the_first_wrote() {
    let Some(adapter) = adapter() else { return };
    let folder = tempfile::tempdir().unwrap();
    // A folder that does not exist yet.
    let folder = folder.path().join("wgrad/pipelines");
    let first = run(&adapter, &folder);
    let first = first.cache.as_ref().unwrap();
    assert_eq!(first.read_bytes(), 0);
    assert!(first.save(), "{:?}", first.notice());
    assert!(!first.save(), "the same bytes are not written twice");
    let written = fs::metadata(first.file()).unwrap().len();
    let second = run(&adapter, &folder);
    let second = second.cache.as_ref().unwrap();
    assert!(second.read_bytes() > 0 && (second.read_bytes() as u64) < written, "{second:?}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn what_is_wrong_is_passed_over_and_replaced() {
    let Some(adapter) = adapter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let first = run(&adapter, folder.path());
    let first = first.cache.as_ref().unwrap();
    assert!(first.save());
    let good = fs::read(first.file()).unwrap();
    let mut corrupt = good.clone();
    *corrupt.last_mut().unwrap() ^= 1;
    let foreign = pack(b"a cache of no driver", "another / adapter");
    // Right in our own header, so that wgpu's is the one to refuse it.
    let hollow = pack(b"a cache of no driver", &first.key);
    let whole = Kept::unpack(&good, &first.key).unwrap().data().len();
    let table: [(&str, &[u8], usize); 6] = [
        ("corrupt", &corrupt, 0),
        ("cut short", &good[..good.len() - 1], 0),
        ("foreign", &foreign, 0),
        ("no cache within", &hollow, 20),
        ("empty", &[], 0),
        ("good", &good, whole),
    ];
    for (what, bytes, expected) in table {
        fs::write(first.file(), bytes).unwrap();
        let next = run(&adapter, folder.path());
        let next = next.cache.as_ref().unwrap();
        assert_eq!(next.read_bytes(), expected, "{what}");
        next.save();
        assert_eq!(next.notice(), None, "{what}");
        assert!(
            Kept::unpack(&fs::read(first.file()).unwrap(), &first.key).is_some_and(|kept| kept.data().len() > 20),
            "{what}"
        );
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_told_and_harms_nothing() {
    let Some(adapter) = adapter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let name = run(&adapter, folder.path()).cache.as_ref().unwrap().file().file_name().unwrap().to_owned();
    // A file where the folder should be: refused to every user, the administrator included.
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    // A folder where the file should be, and a file beyond the limit.
    let (taken, large) = (folder.path().join("taken"), folder.path().join("large"));
    fs::create_dir_all(taken.join(&name)).unwrap();
    fs::create_dir_all(&large).unwrap();
    fs::File::create(large.join(&name)).unwrap().set_len(MOST_BYTES + 4097).unwrap();
    assert!(read(&large.join(&name)).is_err() && read(&taken.join(&name)).is_err());
    for (folder, told) in [(&file, true), (&taken, true), (&large, false)] {
        let opened = run(&adapter, folder);
        let cache = opened.cache.as_ref().unwrap();
        assert_eq!(cache.read_bytes(), 0);
        assert_eq!((cache.save(), cache.save()), (!told, false), "{folder:?}");
        assert_eq!(cache.notice().is_some_and(|n| n.contains(&*folder.to_string_lossy())), told, "{cache:?}");
    }
    assert_eq!(fs::read_dir(&taken).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn a_name_for_each_adapter_and_driver_and_a_key_for_each_version() {
    let Some(adapter) = adapter() else { return };
    let info = adapter.get_info();
    let (name, key) = name_and_key(&info).unwrap();
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{name}");
    let newer = wgpu::AdapterInfo { driver_info: "another version".into(), ..info.clone() };
    let (same, other) = name_and_key(&newer).unwrap();
    assert_eq!(name, same);
    assert_ne!(key, other);
    let odd = wgpu::AdapterInfo { driver: "../a driver\n".into(), device: info.device ^ 1, ..info.clone() };
    let (other, key) = name_and_key(&odd).unwrap();
    assert!(name != other && other.ends_with("_..-a-driver-.bin") && !key.contains('\n'), "{other} {key}");
    let gl = wgpu::AdapterInfo { backend: wgpu::Backend::Gl, ..info };
    assert!(name_and_key(&gl).is_none());
}
