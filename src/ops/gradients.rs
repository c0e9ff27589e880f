//! Reverse mode: the ops that compute gradients are added to the graph, and sums where gradients meet.
//!
//! It stands with the ops because it needs one of them, the sum; a graph itself knows no op by name.

use crate::error::Result;
use crate::ir::graph::{Graph, Node, Role, Tensor};
use crate::ir::op::Backward;
use crate::ops::pointwise::add::Add;

impl Graph {
    /// Adds the ops that compute the gradient of `loss` with respect to every parameter that is not frozen,
    /// walking the ops once in reverse and summing where a tensor has several consumers.
    pub fn backward(&mut self, loss: Tensor) -> Result<()> {
        let trained: Vec<usize> = (0..self.params.len()).filter(|&p| !self.params[p].frozen).collect();
        let roots: Vec<Tensor> = trained.iter().map(|&p| self.params[p].tensor).collect();
        let grads = self.gradients(loss, &roots)?;
        for (param, grad) in trained.into_iter().zip(grads) {
            if let Some(grad) = grad {
                self.tensors[grad.index()].role = Role::Grad;
                self.tensors[grad.index()].name = format!("d {}", self.params[param].name);
                self.params[param].grad = Some(grad);
            }
        }
        Ok(())
    }

    /// Adds the ops for the gradient of `loss` with respect to each of `roots`; `None` if the loss
    /// does not depend on a root.
    pub fn gradients(&mut self, loss: Tensor, roots: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        let mut wanted = vec![false; self.tensors.len()];
        roots.iter().for_each(|r| wanted[r.index()] = true);
        for node in &self.nodes {
            if node.x.iter().any(|x| wanted[x.index()]) {
                node.y.iter().for_each(|y| wanted[y.index()] = true);
            }
        }
        let mut reached = vec![false; self.tensors.len()];
        reached[loss.index()] = true;
        let mut grads: Vec<Option<Tensor>> = vec![None; self.tensors.len()];
        for n in (0..self.nodes.len()).rev() {
            let Node { op, x, y, .. } = self.nodes[n].clone();
            let wants: Vec<bool> = x.iter().map(|x| wanted[x.index()]).collect();
            if !y.iter().any(|y| reached[y.index()]) || !wants.contains(&true) {
                continue;
            }
            let dy: Vec<Option<Tensor>> = y.iter().map(|y| grads[y.index()]).collect();
            let dx = op.backward(self, &Backward { x: &x, y: &y, dy: &dy, wants: &wants })?;
            for (x, dx) in x.iter().zip(dx) {
                let Some(dx) = dx else { continue };
                reached[x.index()] = true;
                grads[x.index()] = Some(match grads[x.index()] {
                    None => dx,
                    Some(sum) => self.apply(Add, &[sum, dx])?[0],
                });
            }
        }
        Ok(roots.iter().map(|r| grads[r.index()]).collect())
    }
}
