//! The table of a model's layers, as Keras prints it.

use crate::counted::grouped;
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
        self.summary_within(usize::MAX)
    }

    /// [`Model::summary`] in at most this many columns: with fewer than 76, cells take several lines.
    ///
    /// # Errors
    /// [`crate::Error::Input`] as [`Model::check`].
    pub fn summary_within(&self, width: usize) -> Result<String> {
        self.check()?;
        let mut rows = Vec::new();
        let mut total = 0;
        for (index, (layer, inferred)) in self.layers.iter().zip(self.infer()?).enumerate() {
            let sizes: Vec<String> = inferred.shape.iter().map(usize::to_string).collect();
            let params = inferred.params.iter().map(|p| p.elements() as u64).sum();
            total += params;
            let from: Vec<String> = layer.from.iter().map(usize::to_string).collect();
            let of = if layer.alone { "of" } else { "from" };
            let from = if from.is_empty() { String::new() } else { format!(", {of} {}", from.join(", ")) };
            let tied = layer.tied.map_or(String::new(), |tied| format!(", tied to {tied}"));
            let name = format!("{index} ({}{from}{tied})", layer.type_name());
            rows.push([name, format!("(None, {})", sizes.join(", ")), grouped(params)]);
        }
        let head = ["Layer (type)", "Output Shape", "Param #"].map(str::to_owned);
        let widths = widths(width, &rows, &head);
        let border = |[left, middle, right]: [char; 3], line: char| {
            let [a, b, c] = widths.map(|width| line.to_string().repeat(width));
            format!("{left}{a}{middle}{b}{middle}{c}{right}\n")
        };
        let mut text = format!("Model: \"{}\"\n", self.name);
        text += &border(['┏', '┳', '┓'], '━');
        text += &row('┃', &head, widths);
        text += &border(['┡', '╇', '┩'], '━');
        for (index, cells) in rows.iter().enumerate() {
            if index > 0 {
                text += &border(['├', '┼', '┤'], '─');
            }
            text += &row('│', cells, widths);
        }
        text += &border(['└', '┴', '┘'], '─');
        // Writing to a String cannot fail.
        let _ = writeln!(text, " Total params: {} ({})", grouped(total), bytes(4 * total));
        Ok(text)
    }
}

/// The columns' widths within a width: of parameters, counts are never broken; the others share what is left.
fn widths(width: usize, rows: &[[String; 3]], head: &[String; 3]) -> [usize; 3] {
    if width >= WIDTHS.iter().sum::<usize>() + 4 {
        return WIDTHS;
    }
    let counts = rows.iter().chain([head]).map(|row| row[2].chars().count()).max().unwrap_or(0) + 2;
    let rest = width.saturating_sub(4 + counts).max(2 * 8);
    [rest - rest / 2, rest / 2, counts]
}

/// A row in lines, each cell broken where it is too wide.
fn row(bar: char, cells: &[String; 3], widths: [usize; 3]) -> String {
    let [a, b, c] = widths.map(|width| width - 2);
    let [name, shape, params] = [(0, a), (1, b), (2, c)].map(|(at, width)| broken(&cells[at], width));
    let part = |lines: &[String], at: usize| lines.get(at).cloned().unwrap_or_default();
    (0..name.len().max(shape.len()).max(params.len())).fold(String::new(), |mut text, at| {
        let [name, shape, params] = [part(&name, at), part(&shape, at), part(&params, at)];
        let _ = writeln!(text, "{bar} {name:<a$} {bar} {shape:<b$} {bar} {params:>c$} {bar}");
        text
    })
}

/// A text in lines of at most `width` letters, broken between words, or within one that is wider.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let letters: Vec<char> = word.chars().collect();
        for (part, piece) in letters.chunks(width.max(1)).enumerate() {
            let used = lines.last().map_or(0, |line| line.chars().count());
            let fits = part == 0 && used + usize::from(used > 0) + piece.len() <= width;
            match lines.last_mut().filter(|_| fits) {
                Some(line) => line.extend((used > 0).then_some(' ').into_iter().chain(piece.iter().copied())),
                None => lines.push(piece.iter().collect()),
            }
        }
    }
    lines
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
            let model = model.unwrap();
            let summary = model.summary().unwrap();
            assert!(summary.lines().all(|line| line.chars().count() <= 80), "{summary}");
            for width in [40, 60, 79] {
                let narrow = model.summary_within(width).unwrap();
                assert!(narrow.lines().all(|line| line.chars().count() <= width), "{narrow}");
                let sizes = input.map(|size| size.to_string());
                assert!(sizes.iter().all(|size| size.len() > 9 || narrow.contains(size)), "{narrow}");
            }
        }
    }
}
