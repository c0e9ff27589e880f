//! The lines of training's progress, made to fit the terminal.

use crate::train::epochs::progress::Metrics;

/// The widest and the narrowest bar, in columns.
const BAR: [usize; 2] = [20, 5];

/// An epoch under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Live {
    /// Steps that are done.
    pub(in crate::cli) done: usize,
    /// Steps that the epoch has.
    pub(in crate::cli) of: usize,
    /// Seconds so far.
    pub(in crate::cli) seconds: f64,
    /// The mean loss so far.
    pub(in crate::cli) loss: f64,
    /// The accuracy so far.
    pub(in crate::cli) accuracy: f64,
    /// The samples so far.
    pub(in crate::cli) samples: u64,
    /// What is counted of them, and how much of it each has.
    pub(in crate::cli) things: (&'static str, usize),
    /// Seconds that are left of the whole run, where further epochs follow.
    pub(in crate::cli) run_left: Option<f64>,
}

impl Live {
    /// One line of at most `width` columns: what matters most is kept longest, and the bar takes what is left.
    pub(in crate::cli) fn line(&self, prefix: &str, width: usize, colour: bool) -> String {
        let Live { done, of, seconds, loss, accuracy, .. } = *self;
        let per_step = seconds / done.max(1) as f64;
        let count = format!("{prefix}{done:>digits$}/{of}", digits = of.to_string().len());
        let left = clock(per_step * (of - done.min(of)) as f64);
        let run = self.run_left.map_or(String::new(), |left| format!(" - run: {} left", clock(left)));
        // In the order of the line; the number says what goes first where there is no room.
        let mut parts = vec![
            (0, count),
            (4, format!(" {left}")),
            (2, format!(" {}", pace(per_step))),
            (3, format!(" - accuracy: {accuracy:.4}")),
            (1, format!(" - loss: {loss:.4}")),
            (5, run),
        ];
        // Numbers are neither right nor wrong.
        parts.retain(|(rank, _)| *rank != 3 || !accuracy.is_nan());
        let room = |parts: &[(u8, String)]| width.checked_sub(parts.iter().map(|(_, text)| text.chars().count()).sum());
        for (rank, bar) in [(5, 1 + BAR[1]), (4, 1 + BAR[1]), (3, 1 + BAR[1]), (2, 0), (1, 0)] {
            if room(&parts).is_none_or(|room: usize| room < bar) {
                parts.retain(|(r, _)| *r != rank);
            }
        }
        let room = room(&parts).unwrap_or(0);
        let columns = room.saturating_sub(1).min(BAR[0]);
        let bar = if columns >= BAR[1] { format!(" {}", bar(done, of, columns, colour)) } else { String::new() };
        let mut texts = parts.into_iter().map(|(_, text)| text);
        let first: String = texts.next().unwrap_or_default().chars().take(width).collect();
        first + &bar + &texts.collect::<String>()
    }
}

/// A whole epoch: one line where there is room, else broken between its parts, none of them wider than `width`.
pub(in crate::cli) fn ended(m: &Metrics, steps: u64, width: usize, colour: bool) -> String {
    let per_step = m.seconds / steps.max(1) as f64;
    let counts = [format!("{steps}/{steps}"), format!(" {} {}", clock(m.seconds), pace(per_step))];
    let room = width.saturating_sub(counts.iter().map(|text| text.chars().count()).sum::<usize>() + 1);
    let columns = room.min(BAR[0]);
    let bar = if columns >= BAR[1] { format!(" {}", bar(1, 1, columns, colour)) } else { String::new() };
    let used = counts.concat().chars().count() + if bar.is_empty() { 0 } else { 1 + columns };
    let mut text = format!("{}{bar}{}", counts[0], counts[1]);
    let mut column = used;
    let names = ["accuracy", "loss", "val_accuracy", "val_loss"];
    let values = [m.accuracy, m.loss, m.val_accuracy, m.val_loss];
    let kept = names.into_iter().zip(values).filter(|(name, value)| !(name.ends_with("accuracy") && value.is_nan()));
    for (name, value) in kept.chain(further(m)) {
        let part = format!("{name}: {value:.4}");
        if column + 3 + part.len() <= width {
            text += " - ";
            column += 3 + part.len();
        } else {
            text += "\n  ";
            column = 2 + part.len();
        }
        text += &part;
    }
    text + "\n"
}

/// Validation metrics besides loss and accuracy.
fn further(m: &Metrics) -> impl Iterator<Item = (&'static str, f64)> {
    let all = [
        ("val_perplexity", m.val_perplexity),
        ("val_mean_iou", m.val_mean_iou),
        ("val_mae", m.val_mae),
        ("val_r2", m.val_r2),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

/// An epoch in one plain line.
pub(in crate::cli) fn plain(m: &Metrics, epochs: usize, (things, each): (&str, usize)) -> String {
    let further: String = further(m).map(|(name, value)| format!(" - {name}: {value:.4}")).collect();
    let share = |name: &str, value: f64| if value.is_nan() { String::new() } else { format!(" - {name}: {value:.4}") };
    let (accuracy, val_accuracy) = (share("accuracy", m.accuracy), share("val_accuracy", m.val_accuracy));
    // Of an epoch within a second, tenths are meaningless.
    let digits = if m.seconds < 1.0 { 3 } else { 1 };
    format!(
        "epoch {}/{epochs} - {:.digits$}s - {:.0} {things}/s - loss: {:.4}{accuracy} - val_loss: {:.4}{val_accuracy}{further}\n",
        m.epoch,
        m.seconds,
        m.images_per_second * each as f64,
        m.loss,
        m.val_loss
    )
}

/// A text broken between words into lines of at most `width` columns, where no word is wider; the further ones stand a
/// little deeper.
pub(in crate::cli) fn wrapped(text: &str, width: usize) -> String {
    let indent = text.len() - text.trim_start_matches(' ').len();
    let mut lines = vec![" ".repeat(indent)];
    for word in text.split_whitespace() {
        let used = lines.last().map_or(0, |line| line.chars().count());
        let begun = lines.last().is_some_and(|line| !line.trim().is_empty());
        if begun && used + 1 + word.chars().count() > width {
            lines.push(" ".repeat(indent + 2));
        } else if begun {
            lines.last_mut().into_iter().for_each(|line| line.push(' '));
        }
        lines.last_mut().into_iter().for_each(|line| line.push_str(word));
    }
    lines.join("\n")
}

/// A line for stderr with `error:`, `warning:` or `note:` at its beginning in colour, where colours are shown.
pub(in crate::cli) fn marked(line: &str) -> String {
    let style = || console::Style::new().for_stderr().bold();
    let marks = [("error:", style().red()), ("warning:", style().yellow()), ("note:", style().green())];
    let found = marks.into_iter().find_map(|(mark, style)| Some((line.strip_prefix(mark)?, style.apply_to(mark))));
    found.map_or_else(|| line.to_owned(), |(rest, mark)| format!("{mark}{rest}"))
}

/// A bar of this number of columns; without colour the missing part is thinner.
fn bar(done: usize, of: usize, columns: usize, colour: bool) -> String {
    let full = (done.min(of) * columns).checked_div(of).unwrap_or(columns);
    let (full, rest) = ("━".repeat(full), "─".repeat(columns - full));
    if colour { format!("\x1b[32m{full}\x1b[0m\x1b[2m{rest}\x1b[0m") } else { full + &rest }
}

/// A number in six digits.
pub(in crate::cli) fn six_digits(number: f64) -> String {
    match number.abs() {
        0.0 => "0".into(),
        size if (1e-4..1e6).contains(&size) => {
            let digits = (5 - size.log10().floor() as i32).clamp(0, 9) as usize;
            format!("{number:.digits$}")
        }
        _ => format!("{number:.5e}"),
    }
}

/// Seconds as `3s`, minutes and hours as `1:05` and `1:02:05`.
pub(in crate::cli) fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (h, m, s) = (whole / 3600, whole / 60 % 60, whole % 60);
    match whole {
        0..60 => format!("{s}s"),
        60..3600 => format!("{m}:{s:02}"),
        _ => format!("{h}:{m:02}:{s:02}"),
    }
}

/// The time of a step.
fn pace(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.0}s/step"),
        s if s >= 1e-3 => format!("{:.0}ms/step", s * 1e3),
        s => format!("{:.0}us/step", s * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: Metrics = Metrics {
        epoch: 3,
        step: 1407,
        loss: 0.0512,
        accuracy: 0.9812,
        val_loss: 0.0534,
        val_accuracy: 0.982,
        val_mean_iou: None,
        val_mae: None,
        val_r2: None,
        val_perplexity: None,
        seconds: 2.9,
        images_per_second: 20_690.0,
        lr: None,
        weights_sha256: None,
    };

    const LIVE: Live = Live {
        done: 93,
        of: 469,
        seconds: 0.6,
        loss: 0.3424,
        accuracy: 0.9066,
        samples: 11_904,
        things: ("images", 1),
        run_left: None,
    };

    #[test]
    fn an_epoch_has_kerass_shape_at_any_width() {
        assert_eq!(
            ended(&METRICS, 469, 120, false),
            "469/469 ━━━━━━━━━━━━━━━━━━━━ 3s 6ms/step - accuracy: 0.9812 - loss: 0.0512 - val_accuracy: 0.9820 - val_loss: 0.0534\n"
        );
        assert_eq!(
            ended(&METRICS, 469, 79, false),
            "469/469 ━━━━━━━━━━━━━━━━━━━━ 3s 6ms/step - accuracy: 0.9812 - loss: 0.0512\n  val_accuracy: 0.9820 - val_loss: 0.0534\n"
        );
        assert_eq!(
            ended(&METRICS, 469, 39, false),
            "469/469 ━━━━━━━━━━━━━━━━━━━ 3s 6ms/step\n  accuracy: 0.9812 - loss: 0.0512\n  val_accuracy: 0.9820\n  val_loss: 0.0534\n"
        );
        assert_eq!(
            LIVE.line("", 79, false),
            " 93/469 ━━━───────────────── 2s 6ms/step - accuracy: 0.9066 - loss: 0.3424"
        );
        let run = Live { run_left: Some(65.0), ..LIVE };
        assert_eq!(
            run.line("", 79, false),
            " 93/469 ━─────── 2s 6ms/step - accuracy: 0.9066 - loss: 0.3424 - run: 1:05 left"
        );
        assert_eq!(run.line("", 39, false), LIVE.line("", 39, false));
        assert_eq!(LIVE.line("", 39, false), " 93/469 ━────── 6ms/step - loss: 0.3424");
        assert_eq!(LIVE.line("epoch 1/10 ", 39, false), "epoch 1/10  93/469 ───── - loss: 0.3424");
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        for width in 1..=130 {
            for prefix in ["", "epoch 3/10 "] {
                let line = LIVE.line(prefix, width, false);
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
            // Twenty columns hold every part of it by itself.
            if width >= 24 {
                let text = ended(&METRICS, 469, width, false);
                assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
            }
        }
    }

    #[test]
    fn texts_break_between_words() {
        let text = "  not [2] native CPU: --device software takes only a software adapter";
        assert_eq!(wrapped(text, 39), "  not [2] native CPU: --device software\n    takes only a software adapter");
        for width in 12..80 {
            let broken = wrapped(text, width);
            assert!(broken.lines().all(|line| line.len() <= width), "{width}: {broken}");
            assert!(broken.split_whitespace().eq(text.split_whitespace()), "{width}: {broken}");
        }
        assert_eq!(wrapped("a/very/long/path and more", 8), "a/very/long/path\n  and\n  more");
    }

    #[test]
    fn colour_changes_no_column() {
        let bare =
            |text: String| ["\x1b[32m", "\x1b[2m", "\x1b[0m"].iter().fold(text, |text, code| text.replace(code, ""));
        assert!(LIVE.line("", 79, true).contains("\x1b[32m") && !LIVE.line("", 79, false).contains('\x1b'));
        assert_eq!(bare(LIVE.line("", 79, true)), LIVE.line("", 79, false));
        assert_eq!(bare(ended(&METRICS, 469, 79, true)), ended(&METRICS, 469, 79, false));
    }

    #[test]
    fn numbers_have_six_digits() {
        for (number, text) in [(0.0, "0"), (12.5, "12.5000"), (-0.001_234_567, "-0.00123457"), (2e7, "2.00000e7")] {
            assert_eq!(six_digits(number), text);
        }
    }

    #[test]
    fn times_are_short() {
        for (seconds, text) in [(0.4, "0s"), (59.4, "59s"), (59.6, "1:00"), (3725.0, "1:02:05")] {
            assert_eq!(clock(seconds), text);
        }
        for (seconds, text) in [(2.4, "2s/step"), (0.0064, "6ms/step"), (0.000_54, "540us/step")] {
            assert_eq!(pace(seconds), text);
        }
    }
}
