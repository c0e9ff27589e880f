//! A confusion matrix that fits the terminal: beside the scores, above them, under numbers in place of names, or as the most
//! frequent errors.

use crate::train::epochs::confusion::{ClassScore, Confusion};
use std::collections::HashSet;

/// The most letters of a row's and of a column's name, and the fewest of the latter.
const ROW: usize = 40;
const COLUMN: [usize; 2] = [8, 3];
/// Columns of the scores.
const BESIDE: usize = 28;
/// Errors that are shown in place of a matrix.
const ERRORS: usize = 10;

/// How the matrix is laid out: the names of its rows and columns, and whether the scores stand below it.
struct Layout {
    rows: Vec<String>,
    heads: Vec<String>,
    below: bool,
}

/// The matrix and the scores in lines of at most `width` columns; `names` are the classes'.
pub(super) fn text(confusion: &Confusion, names: &[String], width: usize) -> String {
    let Some(Layout { rows, heads, below }) = layout(confusion, names, width) else {
        return frequent(confusion, names) + "\n" + &scores(confusion, names, width);
    };
    let [first, column] = [widest(&rows).max(5), widest(&heads).max(digits(confusion))];
    let mut text = "Confusion matrix (rows: true class, columns: predicted class)\n".to_string();
    let head: String = heads.iter().map(|name| format!(" {name:>column$}")).collect();
    let beside = if below { "" } else { "  precision  recall  samples" };
    text += &format!("{:>first$}{head}{beside}\n", "class");
    for ((name, row), score) in rows.iter().zip(confusion.rows()).zip(confusion.scores()) {
        let counts: String = row.iter().map(|count| format!(" {count:>column$}")).collect();
        text += &format!("{name:>first$}{counts}");
        if !below {
            let (precision, recall) = (share(score.precision), share(score.recall));
            text += &format!("  {precision:>9}  {recall:>6}  {:7}", score.samples);
        }
        text += "\n";
    }
    if below { text + "\n" + &scores(confusion, &rows, width) } else { text }
}

/// The first layout that fits.
fn layout(confusion: &Confusion, names: &[String], width: usize) -> Option<Layout> {
    let cut = |letters: usize| names.iter().map(|name| short(name, letters)).collect::<Vec<_>>();
    let most = COLUMN[0].min(widest(names));
    let named = |letters| Some(cut(letters)).filter(|heads| heads.iter().collect::<HashSet<_>>().len() == heads.len());
    let named: Vec<_> = (COLUMN[1].min(most)..=most).rev().filter_map(named).map(|heads| (cut(ROW), heads)).collect();
    let numbers: Vec<String> = (0..names.len()).map(|class| class.to_string()).collect();
    // The numbers stand before the names, whose ends are cut.
    let room = width.saturating_sub(numbers.len() * (1 + widest(&numbers).max(digits(confusion))));
    let row = |(number, name)| short(&format!("{number} {name}"), room.clamp(COLUMN[0], ROW));
    let numbered = (numbers.iter().zip(names).map(row).collect::<Vec<_>>(), numbers);
    let layouts = [(&named[..], false), (&named, true), (std::slice::from_ref(&numbered), true)];
    let all = layouts.into_iter().flat_map(|(heads, below)| heads.iter().map(move |heads| (heads, below)));
    let fits = |((rows, heads), below): &(&(Vec<String>, Vec<String>), bool)| {
        let column = 1 + widest(heads).max(digits(confusion));
        let beside = if *below { 0 } else { BESIDE };
        widest(rows).max(5) + heads.len() * column + beside <= width
    };
    let ((rows, heads), below) = all.into_iter().find(fits)?;
    Some(Layout { rows: rows.clone(), heads: heads.clone(), below })
}

/// Precision, recall and samples of every class.
fn scores(confusion: &Confusion, names: &[String], width: usize) -> String {
    let most = ROW.min(width.saturating_sub(BESIDE)).max(COLUMN[0]);
    let names: Vec<String> = names.iter().map(|name| short(name, most)).collect();
    let first = widest(&names).max(5);
    let row = |(name, score): (&String, ClassScore)| {
        let (precision, recall) = (share(score.precision), share(score.recall));
        format!("{name:>first$}  {precision:>9}  {recall:>6}  {:7}\n", score.samples)
    };
    let head = format!("{:>first$}  precision  recall  samples\n", "class");
    head + &names.iter().zip(confusion.scores()).map(row).collect::<String>()
}

/// The errors that are made most often.
fn frequent(confusion: &Confusion, names: &[String]) -> String {
    let errors = confusion.errors();
    let title = format!(
        "The matrix of {} classes is in --json; the most frequent confusions (true → predicted):\n",
        names.len()
    );
    let line = |(actual, predicted, count): &(usize, usize, u64)| {
        format!("  {} → {} ({count}×)\n", short(&names[*actual], ROW), short(&names[*predicted], ROW))
    };
    if errors.is_empty() {
        format!("{title}  none\n")
    } else {
        errors.iter().take(ERRORS).map(line).fold(title, |text, line| text + &line)
    }
}

/// The beginning of a long name; what a terminal would obey is left out.
pub(crate) fn short(name: &str, most: usize) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    match name.chars().count() <= most {
        true => name,
        false => name.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn digits(confusion: &Confusion) -> usize {
    confusion.rows().concat().into_iter().max().map_or(1, |most| most.to_string().len())
}

fn widest(names: &[String]) -> usize {
    names.iter().map(|name| name.chars().count()).max().unwrap_or(0)
}

fn share(share: Option<f64>) -> String {
    share.map_or("–".into(), |share| format!("{share:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Confusion {
        Confusion::from_predictions(3, &[0, 0, 1, 1, 1, 0], &[0, 1, 1, 1, 0, 0]).unwrap()
    }

    #[test]
    fn the_table_reads_well() {
        let names = ["  zero", "one", "two"].map(str::to_owned);
        let want = "\
Confusion matrix (rows: true class, columns: predicted class)
 class   zero    one    two  precision  recall  samples
  zero      2      1      0     0.6667  0.6667        3
   one      1      2      0     0.6667  0.6667        3
   two      0      0      0          –       –        0
";
        assert_eq!(text(&three(), &names, 100), want);
    }

    #[test]
    fn a_name_obeys_nothing() {
        assert_eq!((short("a\u{1b}[31mb", 9), short("abcdef", 3)), ("a[31mb".into(), "ab…".into()));
    }

    #[test]
    fn a_table_without_room_gives_way() {
        let names = ["shih_tzu_of_the_house", "shih_tzu_of_the_field", "two"].map(str::to_owned);
        let numbered = "\
Confusion matrix (rows: true class, columns: predicted class)
                  class 0 1 2
0 shih_tzu_of_the_house 2 1 0
1 shih_tzu_of_the_field 1 2 0
                  2 two 0 0 0

            class  precision  recall  samples
";
        assert!(text(&three(), &names, 45).starts_with(numbered), "{}", text(&three(), &names, 45));
        let labels: Vec<u32> = (0..40).collect();
        let many = Confusion::from_predictions(40, &labels, &vec![1; 40]).unwrap();
        let names: Vec<String> = labels.iter().map(|class| format!("class {class}")).collect();
        let found = text(&many, &names, 79);
        let start = "The matrix of 40 classes is in --json; the most frequent confusions (true → predicted):\n  class 0 → class 1 (1×)\n";
        assert!(found.starts_with(start), "{found}");
        for (confusion, names) in [(three(), &names[..3]), (many, &names[..])] {
            for width in [36, 40, 80] {
                let found = text(&confusion, names, width);
                let rows = found.lines().filter(|line| !line.contains("matrix"));
                assert!(rows.clone().all(|line| line.chars().count() <= width), "{width}: {found}");
            }
        }
    }
}
