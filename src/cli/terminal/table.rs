//! Tables of a name and numbers that fit the terminal: headings break between words, long names are cut, and where that is
//! not enough a row is a paragraph.

use crate::cli::terminal::lines::wrapped;
pub(in crate::cli) use crate::train::epochs::confusion::text::short;

/// The fewest letters that a name is cut to.
const NAME: usize = 8;

/// A table under way; the first column is the rows' names.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
    // Whether names stand at the left.
    left: bool,
}

impl Table {
    /// No rows yet.
    pub(in crate::cli) fn new<const N: usize>(heads: [&str; N]) -> Table {
        Table { heads: heads.map(Into::into).to_vec(), rows: Vec::new(), left: false }
    }

    /// With the names at the left.
    pub(in crate::cli) fn left(self) -> Table {
        Table { left: true, ..self }
    }

    /// One row more; its cells are as many as the headings.
    pub(in crate::cli) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Lines of at most `width` columns, wherever no word of a heading and no number is wider.
    pub(in crate::cli) fn text(&self, width: usize) -> String {
        let (count, letters) = (self.heads.len(), |text: &str| text.chars().count());
        let cells = |at: usize| self.rows.iter().map(move |row| letters(&row[at])).max().unwrap_or(0);
        let whole: Vec<usize> = (1..count).map(|at| cells(at).max(letters(&self.heads[at]))).collect();
        let word = |head: &str| head.split(' ').map(letters).max().unwrap_or(0);
        let broken: Vec<usize> = (1..count).map(|at| cells(at).max(word(&self.heads[at]))).collect();
        let name = cells(0).max(letters(&self.heads[0]));
        let room = |columns: &[usize]| width.saturating_sub(columns.iter().map(|column| 2 + column).sum());
        if room(&whole) >= name {
            return self.lines(name, &whole);
        }
        // Headings break before a name is cut.
        if room(&broken) >= name.min(NAME) {
            return self.lines(name.min(room(&broken)), &broken);
        }
        self.paragraphs(width)
    }

    /// The rows in columns of these widths.
    fn lines(&self, name: usize, columns: &[usize]) -> String {
        let widths: Vec<usize> = std::iter::once(name).chain(columns.iter().copied()).collect();
        let heads: Vec<Vec<String>> = self.heads.iter().zip(&widths).map(|(head, width)| words(head, *width)).collect();
        let deep = heads.iter().map(Vec::len).max().unwrap_or(0);
        let line = |cells: Vec<&str>| {
            let pad = |(at, (cell, width)): (usize, (&&str, &usize))| match at == 0 && self.left {
                true => format!("{cell:width$}"),
                false => format!("{cell:>width$}"),
            };
            let padded: Vec<String> = cells.iter().zip(&widths).enumerate().map(pad).collect();
            padded.join("  ").trim_end().to_owned() + "\n"
        };
        let mut text = String::new();
        for at in 0..deep {
            // Short headings stand at the bottom.
            let part = |head: &'_ Vec<String>| (at + head.len()).checked_sub(deep);
            text += &line(heads.iter().map(|head| part(head).map_or("", |at| &head[at])).collect());
        }
        for row in &self.rows {
            let first = short(&row[0], name);
            text += &line(std::iter::once(&*first).chain(row[1..].iter().map(|cell| &**cell)).collect());
        }
        text
    }

    /// Each row as its name, with the numbers below it.
    fn paragraphs(&self, width: usize) -> String {
        let paragraph = |row: &Vec<String>| {
            let numbers: Vec<String> = self
                .heads
                .iter()
                .zip(row)
                .skip(1)
                .filter(|(_, cell)| !cell.is_empty())
                .map(|(head, cell)| format!("{head} {cell}").trim().to_owned())
                .collect();
            format!("{}\n{}\n", short(&row[0], width), wrapped(&format!("  {}", numbers.join(", ")), width))
        };
        self.rows.iter().map(paragraph).collect()
    }
}

/// A heading in lines of whole words.
fn words(head: &str, width: usize) -> Vec<String> {
    wrapped(head, width).lines().map(|line| line.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Table {
        let mut table = Table::new(["target", "mean abs. error", "R²"]);
        table.row([name.into(), "12345.6".into(), "0.9876".into()]);
        table
    }

    #[test]
    fn a_table_gives_way_step_by_step() {
        let name = "price_of_the_whole_house";
        let head = "                  target  mean abs. error      R²\n";
        let row = "price_of_the_whole_house          12345.6  0.9876\n";
        assert_eq!(table(name).text(49), format!("{head}{row}"));
        let parts = ["mean", "abs."].map(|part| format!("{part:>33}\n")).concat();
        let broken = "                  target    error      R²\nprice_of_the_whole_house  12345.6  0.9876\n";
        assert_eq!(table(name).text(48), parts + broken);
        assert!(table(name).text(30).ends_with("\nprice_of_the…  12345.6  0.9876\n"));
        assert_eq!(table(name).text(20), "price_of_the_whole_…\n  mean abs. error\n    12345.6, R²\n    0.9876\n");
        for width in 18..60 {
            assert!(table(name).text(width).lines().all(|line| line.chars().count() <= width), "{width}");
        }
    }
}
