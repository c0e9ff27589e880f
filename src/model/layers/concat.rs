//! Channels of several results.

use super::*;
use crate::model::layers::onnx::Attribute;
use crate::ops;

layer! {
    /// The channels (or features) of the result before, then those of earlier layers; all other sizes are equal.
    Concat "concat"
    needs {}
    takes {}
}

impl Layer for Concat {
    keyed!();

    fn joins(&self) -> bool {
        true
    }

    fn lookalike(&self, _: &[&[usize]]) -> Option<String> {
        Some("the result before it comes first, then those of `from`; torch.cat in another order has weights of the same shapes".into())
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let mut all = inputs[0].to_vec();
        for other in &inputs[1..] {
            match (all.split_last_mut(), other.split_last()) {
                (Some((channels, places)), Some((more, others))) if places == others => {
                    *channels = channels.saturating_add(*more);
                }
                _ => {
                    let expected = "expected results of one shape, but for the last size";
                    // Pooling leaves out an odd row, which an upsampling does not bring back.
                    let hint = match (inputs[0], *other) {
                        ([h, w, _], [y, x, _]) if h.abs_diff(*y).max(w.abs_diff(*x)) == 1 => {
                            "; height and width must be multiples of all pool sizes multiplied: --image-size sets them"
                        }
                        _ => "",
                    };
                    return Err(format!("found {:?} and {other:?}, {expected}{hint}", inputs[0]));
                }
            }
        }
        Ok(Inferred::of(all))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let join = |all, &x: &Tensor| Ok(graph.apply(ops::shape::concat::Concat, &[all, x])?[0]);
        at.x[1..].iter().try_fold(at.x[0], join)
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        // N, C, H, W, or N, features; or N, places, features.
        let axis = if onnx.shapes[0].len() == 2 { 2 } else { 1 };
        onnx.whole("Concat", &[("axis", Attribute::Int(axis))]);
        Ok(())
    }
}
