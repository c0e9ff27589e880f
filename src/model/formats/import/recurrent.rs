//! Recurrent cells of PyTorch and Keras, in the form of PyTorch's `LSTMCell`: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`.

use crate::error::{Error, Result};
use crate::model::Weights;
use crate::model::formats::weights::NamedTensor;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The members of a cell, in the order of a layer's parameters.
pub(super) const MEMBERS: [&str; 4] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];

/// A file whose cells are modules of their own.
pub(super) struct Prepared {
    /// All its tensors; those of cells under new names, `MODULE.weight_ih` and so on.
    pub(super) file: Weights,
    /// The names and shapes in the file of those that have a new name, and are in it.
    names: HashMap<String, (String, Vec<usize>)>,
    /// The biases that the file does not have.
    added: HashSet<String>,
}

impl Prepared {
    /// The name and the shape of a tensor in the file; none of one that the file does not have.
    pub(super) fn original<'a>(&'a self, tensor: &'a NamedTensor) -> Option<(&'a str, &'a [usize])> {
        match self.names.get(&tensor.name) {
            Some((name, shape)) => Some((name, shape)),
            None if self.added.contains(&tensor.name) => None,
            None => Some((&tensor.name, &tensor.shape)),
        }
    }
}

/// The tensors of a cell as the file has them.
#[derive(Default)]
struct Cell<'a> {
    /// Of PyTorch, by [`MEMBERS`]; of Keras kernel, recurrent kernel and bias.
    tensors: [Option<&'a NamedTensor>; 4],
    is_keras: bool,
}

/// A file with its cells in one form: transposed if they are Keras's, their gates in PyTorch's order; zeros for biases that
/// the file does not have.
///
/// # Errors
/// [`Error::Input`] for shapes that are no cell's, projected states, and a GRU of Keras's without `reset_after`.
pub(super) fn prepared(file: &Weights) -> Result<Prepared> {
    let mut cells: BTreeMap<String, Cell> = BTreeMap::new();
    let mut rest = Vec::new();
    let names: Vec<(&str, &str)> = file.tensors.iter().map(|tensor| parts(&tensor.name)).collect();
    let recurrent = |prefix: &str| names.iter().any(|(other, own)| *other == prefix && *own == "recurrent_kernel");
    for (tensor, (prefix, own)) in file.tensors.iter().zip(&names) {
        let keras = ["kernel", "recurrent_kernel", "bias"].iter().position(|name| name == own);
        let (module, role, is_keras) = match (pytorch(own)?, keras) {
            (Some((role, layer, direction)), _) => (format!("{prefix}.l{layer}.{direction}"), role, false),
            (None, Some(role)) if recurrent(prefix) => (keras_module(prefix), role, true),
            _ => {
                rest.push(tensor.clone());
                continue;
            }
        };
        let cell = cells.entry(module.trim_start_matches('.').to_owned()).or_default();
        cell.is_keras |= is_keras;
        if let Some(other) = cell.tensors[role].replace(tensor) {
            let [other, found] = [other, tensor].map(|tensor| tensor.name.escape_debug());
            return Err(Error::input(format!("found {other} and {found} in one cell, expected one of them")));
        }
    }
    let (mut original, mut added) = (HashMap::new(), HashSet::new());
    for (module, cell) in cells {
        let converted = if cell.is_keras { of_keras(&module, &cell)? } else { of_pytorch(&module, &cell)? };
        for (member, (shape, values, from)) in MEMBERS.iter().zip(converted) {
            let name = format!("{module}.{member}");
            match from {
                Some(from) => drop(original.insert(name.clone(), (from.name.clone(), from.shape.clone()))),
                None => drop(added.insert(name.clone())),
            }
            rest.push(NamedTensor { name, shape, values });
        }
    }
    Ok(Prepared { file: Weights::new(rest), names: original, added })
}

/// A name without Keras 2's number of a variable, before and after its last separator.
fn parts(name: &str) -> (&str, &str) {
    let name = name.strip_suffix(":0").unwrap_or(name);
    name.rfind(['.', '/']).map_or(("", name), |at| (&name[..at], &name[at + 1..]))
}

/// `weight_hh_l1_reverse` as the member of a cell, its layer and its direction.
fn pytorch(own: &str) -> Result<Option<(usize, usize, usize)>> {
    if own.starts_with("weight_hr_l") {
        let why = "expected a recurrence without proj_size";
        return Err(Error::input(format!("found {}, a projection of states; {why}", own.escape_debug())));
    }
    let member = |name: &&str| own.strip_prefix(*name).and_then(|rest| rest.strip_prefix("_l"));
    let Some(role) = MEMBERS.iter().position(|name| member(name).is_some()) else { return Ok(None) };
    let rest = member(&MEMBERS[role]).unwrap_or_default();
    let (layer, direction) = rest.strip_suffix("_reverse").map_or((rest, 0), |layer| (layer, 1));
    Ok(layer.parse().ok().map(|layer| (role, layer, direction)))
}

/// The module of a cell of Keras's: `lstm_1/lstm_cell` is `lstm_1`, and the directions of `bidirectional/forward_lstm/lstm_cell`
/// are `bidirectional_0.0` and `bidirectional_0.1`, so that they sort as they run.
fn keras_module(prefix: &str) -> String {
    let mut parts: Vec<&str> = prefix.split(['.', '/']).collect();
    let is_cell = |part: &str| {
        let part = part.trim_end_matches(|c: char| c.is_ascii_digit());
        part.strip_suffix('_').unwrap_or(part).ends_with("_cell")
    };
    if parts.len() > 1 && parts.last().is_some_and(|part| is_cell(part)) {
        parts.pop();
    }
    let direction = match parts.last() {
        Some(part) if part.starts_with("forward_") => Some(0),
        Some(part) if part.starts_with("backward_") => Some(1),
        _ => None,
    };
    match direction {
        Some(direction) if parts.len() > 1 => {
            parts.pop();
            let module = parts.join("/");
            let is_numbered = module.rsplit_once('_').is_some_and(|(_, n)| n.parse::<u32>().is_ok());
            let number = if is_numbered { "" } else { "_0" };
            format!("{module}{number}.{direction}")
        }
        _ => parts.join("/"),
    }
}

/// A tensor of a cell: its shape, its values, and which of the file it is from.
type Converted<'a> = (Vec<usize>, Vec<f32>, Option<&'a NamedTensor>);

fn of_pytorch<'a>(module: &str, cell: &Cell<'a>) -> Result<Vec<Converted<'a>>> {
    let [Some(wx), Some(wh), bx, bh] = cell.tensors else {
        let module = module.escape_debug();
        return Err(Error::input(format!("module {module}: found one of weight_ih and weight_hh, expected both")));
    };
    let rows = wh.shape.first().copied().unwrap_or_default();
    let zeros = || (vec![rows], vec![0.0; rows], None);
    let whole = |tensor: &'a NamedTensor| (tensor.shape.clone(), tensor.values.clone(), Some(tensor));
    Ok(vec![whole(wx), whole(wh), bx.map_or_else(zeros, whole), bh.map_or_else(zeros, whole)])
}

fn of_keras<'a>(module: &str, cell: &Cell<'a>) -> Result<Vec<Converted<'a>>> {
    let module = module.escape_debug();
    let [Some(kernel), Some(recurrent), bias, _] = cell.tensors else {
        return Err(Error::input(format!("module {module}: found a recurrent_kernel without a kernel, expected both")));
    };
    let (features, units, wide) = match (&kernel.shape[..], &recurrent.shape[..]) {
        (&[features, wide], &[units, also]) if wide == also && units > 0 && [1, 3, 4].contains(&(wide / units)) => {
            (features, units, wide)
        }
        (kernel, recurrent) => {
            return Err(Error::input(format!(
                "module {module}: found a kernel {kernel:?} and a recurrent_kernel {recurrent:?}, expected [features, gates · \
                 units] and [units, gates · units] with 1, 3 or 4 gates"
            )));
        }
    };
    if wide % units != 0 {
        return Err(Error::input(format!(
            "module {module}: found {wide} columns, expected a multiple of {units} units"
        )));
    }
    // An LSTM's are i, f, c, o in both; a GRU's z, r, h become r, z, n.
    let order: &[usize] = if wide / units == 3 { &[1, 0, 2] } else { &[0, 1, 2, 3] };
    let column = |row: usize| order[row / units] * units + row % units;
    let turned = |tensor: &'a NamedTensor, inputs: usize| {
        let row = |row: usize| (0..inputs).map(move |input| tensor.values[input * wide + column(row)]);
        (vec![wide, inputs], (0..wide).flat_map(row).collect(), Some(tensor))
    };
    let biases = match bias.map(|bias| (bias, &bias.shape[..])) {
        None => [None; 2],
        Some((bias, &[found])) if found == wide && wide / units != 3 => [Some((bias, 0)), None],
        Some((bias, &[2, found])) if found == wide && wide / units == 3 => [Some((bias, 0)), Some((bias, wide))],
        Some((_, &[found])) if found == wide => {
            return Err(Error::input(format!(
                "module {module}: found one bias of a GRU, which has reset_after=False; expected two, as Keras's default, \
                 reset_after=True, and PyTorch have them"
            )));
        }
        Some((_, shape)) => {
            let expected = if wide / units == 3 { format!("[2, {wide}]") } else { format!("[{wide}]") };
            return Err(Error::input(format!("module {module}: found a bias {shape:?}, expected {expected}")));
        }
    };
    let of = |bias: Option<(&'a NamedTensor, usize)>| match bias {
        None => (vec![wide], vec![0.0; wide], None),
        Some((bias, first)) => {
            (vec![wide], (0..wide).map(|row| bias.values[first + column(row)]).collect(), Some(bias))
        }
    };
    Ok(vec![turned(kernel, features), turned(recurrent, units), of(biases[0]), of(biases[1])])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize]) -> NamedTensor {
        let values = (0..shape.iter().product::<usize>()).map(|n| n as f32).collect();
        NamedTensor { name: name.into(), shape: shape.into(), values }
    }

    #[test]
    fn gates_are_turned_and_ordered() {
        let file = Weights::new(vec![
            tensor("gru/gru_cell/kernel", &[1, 6]),
            tensor("gru/gru_cell/recurrent_kernel", &[2, 6]),
            tensor("gru/gru_cell/bias", &[2, 6]),
            tensor("dense/kernel", &[2, 2]),
        ]);
        let found = prepared(&file).unwrap();
        let of = |name: &str| found.file.get(name).unwrap().clone();
        assert_eq!(of("gru.weight_ih").values, [2.0, 3.0, 0.0, 1.0, 4.0, 5.0], "z, r, h to r, z, n");
        let wh = of("gru.weight_hh");
        assert_eq!((&wh.shape[..], &wh.values[..4]), (&[6, 2][..], &[2.0, 8.0, 3.0, 9.0][..]));
        assert_eq!(of("gru.bias_hh").values, [8.0, 9.0, 6.0, 7.0, 10.0, 11.0]);
        assert_eq!(found.original(&of("gru.bias_hh")), Some(("gru/gru_cell/bias", &[2, 6][..])));
        assert_eq!(found.original(&of("dense/kernel")), Some(("dense/kernel", &[2, 2][..])));
    }

    #[test]
    fn modules_of_cells_sort_as_they_run() {
        for (prefix, expected) in [
            ("sequential/lstm_1/lstm_cell", "sequential/lstm_1"),
            ("lstm_1/lstm_cell_3", "lstm_1"),
            ("lstm", "lstm"),
            ("a/bidirectional/forward_lstm/lstm_cell", "a/bidirectional_0.0"),
            ("a/bidirectional_2/backward_gru/gru_cell", "a/bidirectional_2.1"),
        ] {
            assert_eq!(keras_module(prefix), expected);
        }
        for (own, expected) in
            [("weight_hh_l12_reverse", Some((1, 12, 1))), ("bias_ih_l0", Some((2, 0, 0))), ("weight_ih_lx", None)]
        {
            assert_eq!(pytorch(own).unwrap(), expected, "{own}");
        }
    }

    #[test]
    fn what_is_no_cell_is_refused() {
        let cell = |kernel: &[usize], recurrent: &[usize], bias: &[usize]| {
            let of = [("kernel", kernel), ("recurrent_kernel", recurrent), ("bias", bias)];
            Weights::new(of.map(|(name, shape)| tensor(&format!("x/{name}"), shape)).into())
        };
        for (file, expected) in [
            (cell(&[1, 6], &[2, 6], &[6]), "reset_after=False"),
            (cell(&[1, 6], &[2, 6], &[2, 5]), "found a bias [2, 5], expected [2, 6]"),
            (cell(&[1, 4], &[2, 4], &[4]), "with 1, 3 or 4 gates"),
            (cell(&[1, 7], &[2, 7], &[7]), "expected a multiple of 2 units"),
            (cell(&[1, 8], &[2, 4], &[8]), "found a kernel [1, 8] and a recurrent_kernel [2, 4]"),
            (cell(&[8], &[2, 8], &[8]), "found a kernel [8]"),
            (Weights::new(vec![tensor("x/recurrent_kernel", &[2, 2])]), "without a kernel"),
            (Weights::new(vec![tensor("x.weight_ih_l0", &[2, 2])]), "expected both"),
            (cell(&[], &[], &[]), "found a kernel []"),
            (Weights::new(vec![tensor("x.weight_hr_l0", &[2, 2])]), "proj_size"),
        ] {
            let error = prepared(&file).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        // Without sizes: no layer takes it.
        let names = ["x.weight_ih_l0", "x.weight_hh_l0"];
        assert!(prepared(&Weights::new(names.map(|name| tensor(name, &[])).into())).is_ok());
    }
}
