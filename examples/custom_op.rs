//! Your own op and layer: SiLU (Elfwing et al., 2018) after a dense layer, checked against the
//! double-precision oracle on this device and then trained.
//!
//!     cargo run --release --example custom_op -- [device] [training samples]

use wgrad::data::Dataset;
use wgrad::device::Device;
use wgrad::device::choice::DeviceRequest;
use wgrad::error::{Error, Result};
use wgrad::ir::case::Case;
use wgrad::ir::graph::{Graph, Tensor, TensorInfo};
use wgrad::ir::launch::{Lower, Source};
use wgrad::ir::op::{Backward, In, Op, Out, Real, Reference, Rounding};
use wgrad::model::{Inferred, Inputs, Layer, ParamSpec, Sequential};
use wgrad::ops::Entry;
use wgrad::ops::matmul::matmul_nt::MatmulNt;
use wgrad::train::epochs::trainer::Event;
use wgrad::train::settings::options::TrainOptions;
use wgrad::verify;

/// `y = x · σ(x)`, of any shape.
#[derive(Clone, Copy, Debug)]
struct Silu;

/// Its gradient: `dx = dy · s · (1 + x · (1 - s))` with s = σ(x); the arguments are dy and x.
#[derive(Clone, Copy, Debug)]
struct SiluDx;

const SILU: Source = Source::new("silu", include_str!("silu.wgsl"));
const SILU_DX: Source = Source::new("silu_dx", include_str!("silu_dx.wgsl"));

/// σ(x), in single precision on the CPU, in double as the oracle.
fn sigmoid<F: Real>(x: F) -> F {
    F::of(1.0) / (F::of(1.0) + (-x).exp())
}

// The formula, plain: all other forms are compared with it.
impl Reference for Silu {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        for (y, x) in y[0].floats().iter_mut().zip(x[0].floats()) {
            *y = *x * sigmoid(*x);
        }
    }
}

impl Reference for SiluDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        let given = x[0].floats().iter().zip(x[1].floats());
        for (dx, (dy, x)) in dx[0].floats().iter_mut().zip(given) {
            let (one, s) = (F::of(1.0), sigmoid(*x));
            *dx = *dy * s * (one + *x * (one - s));
        }
    }
}

impl Op for Silu {
    fn name(&self) -> &'static str {
        "silu"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = x else { return Err(format!("{} arguments where 1 is expected", x.len())) };
        Ok(vec![TensorInfo::floats("silu", x.shape.clone())])
    }

    /// The gradient is an op of its own, added to the same graph.
    fn backward(&self, graph: &mut Graph, at: &Backward) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(SiluDx, &[dy, at.x[0]])?[0])])
    }

    /// The shader's constants and variables are found by name in its text.
    fn lower(&self, cx: &mut Lower) -> Result<()> {
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(SILU, &[])?.size("count", count);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    /// exp is good to 3 + 2|x| units in the last place, a quotient to 2.5 (WGSL), for |x| below 1; then a sum.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 1, ulps: 16.0 }
    }

    fn is_elementwise(&self) -> bool {
        true
    }
}

impl Op for SiluDx {
    fn name(&self) -> &'static str {
        "silu_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, x] = x else { return Err(format!("{} arguments where 2 are expected", x.len())) };
        if dy.elements() != x.elements() {
            return Err("dy and x must have one size".into());
        }
        Ok(vec![TensorInfo::floats("silu_dx", x.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Err(Error::input("silu_dx: gradients of gradients are not supported"))
    }

    fn lower(&self, cx: &mut Lower) -> Result<()> {
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(SILU_DX, &[])?.size("count", count);
        cx.invocations(launch.bind("dy", cx.x[0]).bind("x", cx.x[1]).bind("dx", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 1, ulps: 32.0 }
    }
}

/// A dense layer followed by SiLU: a custom layer composes ops, its own and those of wgrad.
#[derive(Debug)]
struct DenseSilu {
    units: usize,
}

impl Layer for DenseSilu {
    fn type_name(&self) -> &'static str {
        "dense_silu"
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let &[&[features]] = inputs else { return Err("a flatten must come before it".into()) };
        let fans = [features, self.units];
        let params = vec![ParamSpec::drawn(vec![self.units, features], fans), ParamSpec::bias(self.units, fans)];
        Ok(Inferred { shape: vec![self.units], params })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let z = graph.apply(MatmulNt::default(), &at.arguments())?;
        Ok(graph.apply(Silu, &z)?[0])
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let request: DeviceRequest = arguments.next().unwrap_or("auto".into()).parse()?;
    let samples = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let (device, choice) = pollster::block_on(Device::open(&request, 0))?;
    println!("{}", choice.line());

    // Both ops at awkward sizes, on this device, against their formulas in double precision.
    let entries = [
        Entry { name: "silu", kernels: &[SILU], cases: || [1, 7, 1030].map(|n| Case::new(Silu).random([n])).into() },
        Entry {
            name: "silu_dx",
            kernels: &[SILU_DX],
            cases: || [1, 7, 1030].map(|n| Case::new(SiluDx).random([n]).random([n])).into(),
        },
    ];
    for report in verify::kernels(&device, &entries, false)? {
        println!("{}: {}, worst error {:.1e}", report.kernel, report.verdict, report.worst_error);
        if report.verdict != "pass" {
            return Err(Error::failed(format!("{} is wrong on this device", report.kernel)));
        }
    }

    let mut data = Dataset::open("mnist")?;
    data.train.truncate(samples)?;
    let net = Sequential::new([28, 28, 1]).conv2d(16, 3).max_pool2d(2).flatten().custom(DenseSilu { units: 64 });
    let model = net.dense(10).build()?;
    println!("{}", model.summary()?);
    let options = TrainOptions { epochs: 2, ..TrainOptions::default() };
    let fitted = model.fit(&data, &options, &device, |event| {
        if let Event::Epoch(m) = event {
            println!("epoch {}: loss {:.4}, accuracy on the test set {:.4}", m.epoch, m.loss, m.val_accuracy);
        }
        std::ops::ControlFlow::Continue(())
    });
    pollster::block_on(fitted)?;
    Ok(())
}
