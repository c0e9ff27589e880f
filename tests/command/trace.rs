//! `trace`: a broken shader is the first and only op that differs, and the presets agree everywhere.

use crate::common::{Place, adapter, keys, number};
use serde_json::Value;
use wgrad::device::Device;
use wgrad::ir::graph::{Graph, Tensor, TensorInfo};
use wgrad::ir::launch::{Lower, Source};
use wgrad::ir::op::{Backward, In, Op, Out, Real, Reference, Rounding};
use wgrad::model::{Inferred, Inputs, Layer, Model, Sequential};
use wgrad::verify::trace::{Against, trace};

/// `y = x / 2`, exact; its shader may say otherwise.
#[derive(Clone, Copy, Debug)]
struct Half {
    forward: &'static str,
    backward: &'static str,
}

const SOUND: &str = "y[i] = 0.5 * x[i];";
const OFF: &str = "y[i] = 0.500001 * x[i];";
const LAST: &str = "y[i] = select(0.5, 0.25, i + 1u == count) * x[i] + select(0.0, 1.0, i + 1u == count);";

impl Reference for Half {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        y[0].floats().iter_mut().zip(x[0].floats()).for_each(|(y, x)| *y = *x * F::of(0.5));
    }
}

impl Op for Half {
    fn name(&self) -> &'static str {
        "half"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        Ok(vec![TensorInfo::floats("half", x[0].shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> wgrad::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(Half { forward: self.backward, ..*self }, &[dy])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> wgrad::Result<()> {
        let name = match self.forward {
            SOUND => "half_sound",
            OFF => "half_off",
            _ => "half_last",
        };
        let text = format!(
            "override count: u32;
            @group(0) @binding(0) var<storage, read> x: array<f32>;
            @group(0) @binding(1) var<storage, read_write> y: array<f32>;
            @compute @workgroup_size(64)
            fn main(@builtin(global_invocation_id) id: vec3u) {{
                let i = id.x;
                if i < count {{
                    {}
                }}
            }}",
            self.forward
        );
        let source = Source::new(name, text.leak());
        let count = cx.elements(cx.y[0]);
        let launch = cx.kernel(source, &[])?.size("count", count);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 1.0 }
    }
}

#[derive(Debug)]
struct Halving(Half);

impl Layer for Halving {
    fn type_name(&self) -> &'static str {
        "halving"
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        Ok(Inferred::of(inputs[0]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> wgrad::Result<Tensor> {
        Ok(graph.apply(self.0, at.x)?[0])
    }
}

fn net(forward: &'static str, backward: &'static str) -> Model {
    let net = Sequential::new([6, 6, 1]).name("net").conv2d(4, 3).relu().flatten();
    net.custom(Halving(Half { forward, backward })).dense(5).relu().dense(3).build().expect("a model")
}

#[test]
fn a_broken_shader_is_named_and_nothing_else() {
    let gpu = adapter::device();
    let cpu = Device::cpu(2).expect("two threads");
    for (forward, backward, kernel) in [
        (SOUND, SOUND, None),
        (OFF, SOUND, Some("half_off")),
        (SOUND, OFF, Some("half_off")),
        (LAST, SOUND, Some("half_last")),
        (SOUND, LAST, Some("half_last")),
    ] {
        let model = net(forward, backward);
        for (device, against) in [(&gpu, Against::Device(&cpu)), (&gpu, Against::Oracle), (&cpu, Against::Device(&gpu))]
        {
            let found = trace(device, against, &model, false).expect("both run");
            let failed: Vec<_> = found.ops.iter().filter(|row| row.verdict == "fail").collect();
            assert_eq!(failed.len(), usize::from(kernel.is_some()), "{kernel:?}, {against:?}: {failed:#?}");
            assert_eq!(found.first().map(|row| row.op.as_str()), kernel.map(|_| "half"));
            let Some(row) = found.first() else { continue };
            assert!(row.worst_error.is_nan() || row.worst_error > row.tolerance, "{row:?}");
            if matches!(device, Device::Gpu(_)) {
                assert_eq!(row.kernels, kernel.map(String::from).into_iter().collect::<Vec<_>>());
            }
            // The broken half of the step and no other.
            let halves: Vec<_> = found.ops.iter().filter(|row| row.op == "half").collect();
            assert_eq!(halves.iter().position(|row| row.verdict == "fail"), Some(usize::from(forward == SOUND)));
        }
        // What a CPU makes of it has no shader to be wrong.
        assert!(trace(&cpu, Against::Oracle, &model, false).expect("it runs").first().is_none());
    }
}

#[test]
fn the_command_finds_the_presets_alike_everywhere() {
    let place = Place::new();
    for line in
        ["", "mnist-deep", "tiny.toml --against oracle", "--device cpu --against oracle", "--device cpu --against 0"]
    {
        let found: Value = serde_json::from_str(&place.works(&format!("trace {line} --json")).out).expect("JSON");
        assert_eq!(keys(&found), ["against", "device", "first", "model", "ops", "passed"]);
        assert!(found["passed"] == true && found["first"].is_null(), "{line}: {found}");
        let ops = found["ops"].as_array().expect("ops");
        let wanted = ["kernels", "node", "op", "shape", "tensor", "tolerance", "verdict", "worst_error"];
        assert!(ops.len() >= 8 && ops.iter().all(|op| keys(op) == wanted), "{line}: {ops:?}");
        assert!(ops.iter().all(|op| number(op, "worst_error") <= number(op, "tolerance")), "{line}: {ops:?}");
        assert_eq!(ops.last().expect("an op")["op"], "step_end");
    }
    let table = place.works("trace tiny.toml").out;
    assert!(table.starts_with("tiny, one training step: ") && table.matches(" pass\n").count() >= 8, "{table}");
    for (line, want) in [("no-such-model", "no-such-model"), ("--against 99", "99")] {
        let done = place.call(&format!("trace {line}"));
        assert!(done.status == Some(2) && done.err.contains(want), "{line}: {done:#?}");
    }
}
