//! The table of a model's layers, as Keras prints it.

use crate::error::Result;
use crate::model::Model;
use std::fmt::Write;

/// Widths of the three columns in characters, without the borders: 76 in all.
const WIDTHS: [usize; 3] = [31, 26, 15];

impl Model {
    /// Layers with their output shapes and parameters, and the totals; at most 80 columns wide.
    ///
    /// # Errors
    /// [`crate::Error::Input`] as [`Model::check`].
    pub fn summary(&self) -> Result<String> {
        self.check()?;
        let mut text = format!("Model: \"{}\"\n", self.name);
        let border = |[left, middle, right]: [char; 3], line: char| {
            let [a, b, c] = WIDTHS.map(|width| line.to_string().repeat(width));
            format!("{left}{a}{middle}{b}{middle}{c}{right}\n")
        };
        let row = |bar: char, cells: [&str; 3]| {
            let [a, b, c] = WIDTHS.map(|width| width - 2);
            let [name, shape, params] = cells;
            format!("{bar} {name:<a$} {bar} {shape:<b$} {bar} {params:>c$} {bar}\n")
        };
        text += &border(['┏', '┳', '┓'], '━');
        text += &row('┃', ["Layer (type)", "Output Shape", "Param #"]);
        text += &border(['┡', '╇', '┩'], '━');
        let mut total = 0;
        for (index, (layer, inferred)) in self.layers.iter().zip(self.infer()?).enumerate() {
            let sizes: Vec<String> = inferred.shape.iter().map(usize::to_string).collect();
            let params = inferred.params.iter().map(|p| p.elements() as u64).sum();
            total += params;
            if index > 0 {
                text += &border(['├', '┼', '┤'], '─');
            }
            let from: Vec<String> = layer.from.iter().map(usize::to_string).collect();
            let name = match from.is_empty() {
                true => format!("{index} ({})", layer.type_name()),
                false => format!("{index} ({}, from {})", layer.type_name(), from.join(", ")),
            };
            text += &row('│', [&name, &format!("(None, {})", sizes.join(", ")), &grouped(params)]);
        }
        text += &border(['└', '┴', '┘'], '─');
        // Writing to a String cannot fail.
        let _ = writeln!(text, " Total params: {} ({})", grouped(total), bytes(4 * total));
        Ok(text)
    }
}

/// A number with a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that Keras would choose.
fn bytes(count: u64) -> String {
    let units = ["B", "KB", "MB", "GB"];
    let mut size = count as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        (size, unit) = (size / 1024.0, unit + 1);
    }
    format!("{size:.2} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnist_cnn_looks_as_in_keras() {
        let summary = Model::preset("mnist-cnn", [28, 28, 1], 10).unwrap().summary().unwrap();
        let want = "\
Model: \"mnist-cnn\"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                  ┃ Output Shape             ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ 0 (conv2d)                    │ (None, 26, 26, 32)       │           320 │
├───────────────────────────────┼──────────────────────────┼───────────────┤
│ 1 (relu)                      │ (None, 26, 26, 32)       │             0 │
├───────────────────────────────┼──────────────────────────┼───────────────┤
│ 2 (max_pool2d)                │ (None, 13, 13, 32)       │             0 │
├───────────────────────────────┼──────────────────────────┼───────────────┤
│ 3 (flatten)                   │ (None, 5408)             │             0 │
├───────────────────────────────┼──────────────────────────┼───────────────┤
│ 4 (dense)                     │ (None, 10)               │        54,090 │
└───────────────────────────────┴──────────────────────────┴───────────────┘
 Total params: 54,410 (212.54 KB)
";
        assert_eq!(summary, want);
    }

    #[test]
    fn numbers_are_grouped_and_units_chosen() {
        for (number, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_199_882, "1,199,882")] {
            assert_eq!(grouped(number), want);
        }
        for (count, want) in [(0, "0.00 B"), (1023, "1023.00 B"), (1024, "1.00 KB"), (4 * 1_199_882, "4.58 MB")] {
            assert_eq!(bytes(count), want);
        }
    }

    #[test]
    fn the_widest_rows_fit_80_columns() {
        use crate::model::Sequential;
        for input in [[46_340, 46_340, 1], [1, 2_147_483_647, 1], [999, 999, 999]] {
            let model = Sequential::new(input).max_pool2d(1).max_pool2d([input[0], 999]).flatten().dense(10).build();
            let summary = model.and_then(|model| model.summary()).unwrap();
            assert!(summary.lines().all(|line| line.chars().count() <= 80), "{summary}");
        }
    }
}
