//! How a recurrence walks over the steps of its rows: on the host in blocks of rows, on a device in a dispatch for each step or
//! in one for all.

use crate::ops::prelude::*;
use crate::ops::sequence::cells::Cell;
use crate::ops::sequence::recurrence::{RECURRENCE_BEGIN, RECURRENCE_END};
use crate::ops::shape::reshape;

/// How a recurrence is dispatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A dispatch for each step, all of one pipeline.
    Step,
    /// One dispatch, in which each workgroup takes some rows through all steps.
    Scan,
}

/// The sizes of a recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// B, the rows.
    pub batch: usize,
    /// T, the steps.
    pub steps: usize,
    /// H, the units of a state.
    pub units: usize,
}

impl Sizes {
    /// Elements of a state of all rows.
    pub fn state(&self) -> usize {
        self.batch * self.units
    }

    /// How many rows share a product on the host: enough that the weights are read rarely, and few enough that there
    /// are blocks for several threads. It does not depend on their number.
    pub fn block(&self, cell: Cell) -> usize {
        const LARGE: usize = 1 << 18;
        let most = if cell.gates() * self.units * self.units > LARGE { 32 } else { 16 };
        self.batch.div_ceil(self.batch.div_ceil(most))
    }

    /// How many of its places each row has, as far as there are lengths.
    pub fn valid(&self, lengths: Option<&[u32]>, row: usize) -> usize {
        lengths.map_or(self.steps, |lengths| (lengths[row] as usize).min(self.steps))
    }
}

/// Memory [.., batch, width] by blocks of `rows` rows, each with its part of every leading place.
pub fn by_block<F>(memory: &mut [F], [rows, batch, width]: [usize; 3]) -> Vec<Vec<&mut [F]>> {
    let mut blocks: Vec<Vec<&mut [F]>> = (0..batch.div_ceil(rows)).map(|_| Vec::new()).collect();
    for step in memory.chunks_mut((batch * width).max(1)) {
        blocks.iter_mut().zip(step.chunks_mut((rows * width).max(1))).for_each(|(block, part)| block.push(part));
    }
    blocks
}

/// The part of a step, if there is one.
pub fn part<'a, F>(parts: &'a mut [&mut [F]], step: usize) -> &'a mut [F] {
    parts.get_mut(step).map_or(&mut [], |part| part)
}

/// The lowering of a recurrence, forward or backward.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// The computation of a step.
    pub cell: Cell,
    /// Its sizes.
    pub sizes: Sizes,
    /// Whether rows are walked from their end.
    pub reverse: bool,
    /// The valid places of each row.
    pub lengths: Option<Tensor>,
    /// How it is dispatched; by its sizes where that is not said.
    pub form: Option<Form>,
    /// Where h and c before all steps lie in the tensor of states.
    pub places: [usize; 2],
}

/// llvmpipe leaves a shader's loops after 65,535 rounds in all, and says nothing of it.
const ROUNDS: usize = 60_000;

impl Walk {
    /// Puts the given states, or zeros, into `states`, and makes the table of step numbers.
    pub fn begin(
        &self,
        cx: &mut Lower,
        states: Tensor,
        given: [Option<Tensor>; 2],
        any: Tensor,
    ) -> crate::Result<Tensor> {
        let time = cx.scratch_words(TABLE * (self.sizes.steps + 1));
        let launch = self.states(cx.kernel(RECURRENCE_BEGIN, &[])?).size("steps", self.sizes.steps);
        let launch = launch.set("given", given[0].is_some()).set("given_second", given[1].is_some());
        let launch = launch.bind("h", given[0].unwrap_or(any)).bind("c", given[1].unwrap_or(any));
        let count = self.sizes.state().max(self.sizes.steps + 1);
        cx.invocations(launch.bind("states", states).bind("time", time), count)?;
        Ok(time)
    }

    /// Copies the states at the end into `to`.
    pub fn end(&self, cx: &mut Lower, states: Tensor, places: [usize; 2], to: &[Tensor]) -> crate::Result<()> {
        let second = match to.get(1) {
            Some(&second) => second,
            None => cx.scratch(1),
        };
        let launch = Walk { places, ..*self }.states(cx.kernel(RECURRENCE_END, &[])?);
        let launch = launch.bind("states", states).bind("h", to[0]).bind("c", second);
        cx.invocations(launch, self.sizes.state())
    }

    fn states(&self, launch: Launch) -> Launch {
        let launch = launch.size("count", self.sizes.state()).size("doubled", self.cell.states() - 1);
        launch.size("first", self.places[0]).size("second", self.places[1])
    }

    /// Launches the steps whose numbers are `order`, which is an ascending or a descending range. `terms` are those of a
    /// product, `rows` and `columns` what a workgroup owns; `bind` binds what is the kernel's own.
    pub fn steps(
        &self,
        cx: &mut Lower,
        [tile, lanes]: [Source; 2],
        (weight, time): (Tensor, Tensor),
        (order, terms): (&[usize], usize),
        bind: impl Fn(Launch) -> Launch,
    ) -> crate::Result<()> {
        let Sizes { batch, steps, units } = self.sizes;
        let gates = self.cell.gates();
        let (source, params, weight, [rows, columns, width, deep]) = match cx.class {
            KernelClass::Lanes(count) if units.is_multiple_of(4) => {
                // 32 vectors of sums per lane are the most that software adapters keep cheaply.
                let rows = if gates == 1 || terms > units { 16 } else { 8 };
                let weight = reshape::texture(cx, weight)?;
                (lanes, vec![("L", count.into()), ("R", rows as i64)], weight, [rows, 4 * count as usize, 4, 4])
            }
            _ => (tile, vec![("R", 16)], (weight, 0), [16, 16, 1, 16]),
        };
        let blocks = units.div_ceil(columns);
        let scan = match self.form {
            Some(form) => form == Form::Scan,
            // Where the states are small, and the dispatches cost more than a step.
            None => units <= if cx.class == KernelClass::Tile { 32 } else { 64 },
        };
        let scan = scan && steps * blocks * (terms.div_ceil(deep) + 1) < ROUNDS;
        let (each, span) = if scan { (blocks, order.len()) } else { (1, 1) };
        let params = [&[("G", gates as i64)], &params[..]].concat();
        for &step in order.iter().step_by(span) {
            let at = cx.view_words(time, TABLE * step, format!("step {step}"));
            let launch = cx.kernel(source, &params)?.size("batch", batch).size("steps", steps);
            let launch = launch.size("units", units / width).set("kind", self.cell as u32).size("first", weight.1);
            let launch = launch.size("each", each).size("span", span).size("blocks", blocks);
            let launch = launch.set("backwards", self.reverse).set("ragged", self.lengths.is_some());
            let launch = launch.bind("w", weight.0).bind("lengths", self.lengths.unwrap_or(at)).bind("time", at);
            cx.groups(bind(launch), batch.div_ceil(rows) * blocks.div_ceil(each))?;
        }
        Ok(())
    }
}

/// Words from one step's number to the next: 256 bytes, the alignment of a binding.
const TABLE: usize = 64;
