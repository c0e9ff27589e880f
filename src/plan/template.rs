//! Expansion of shader files: shared text, repetition and constants, nothing more.
//!
//! A line `//: use NAME` stands for the text of `shaders/lib/NAME.wgsl`; a file that is used twice is included once.
//! A line `//: let NAME = EXPRESSION` names a value for the lines after it, to the end of the block it stands in.
//! A line `//: for i in A..B` repeats the lines up to its `//: end` with `i` counting from A to B - 1.
//! `$(…)` stands for the value of an integer expression over the loop counters and the parameters, with
//! `+ - * / % ( )`; `$i` is short for `$(i)`.
//!
//! Repeated lines join conditions by `&` and `|`: `&&` and `||` branch, and the compilers of some drivers take far
//! longer for every branch (SwiftShader's did not finish fourteen such lines in a minute, and takes a fifth of a second
//! without them).

/// A name and its value.
pub type Binding<'a> = (&'a str, i64);

/// A text that shaders share: its name and its WGSL.
pub type Shared = (&'static str, &'static str);

/// An expanded shader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded {
    /// The WGSL.
    pub text: String,
    /// Where each line of it comes from, such as `line 7` or `lib/control line 2`.
    pub origins: Vec<String>,
}

/// A line and where it stands.
#[derive(Clone, Copy)]
struct Line<'a> {
    file: Option<&'a str>,
    number: usize,
    text: &'a str,
}

impl Line<'_> {
    fn place(&self) -> String {
        match self.file {
            Some(file) => format!("lib/{file} line {}", self.number),
            None => format!("line {}", self.number),
        }
    }

    fn fault(&self, why: impl std::fmt::Display) -> String {
        format!("{}: {why}", self.place())
    }
}

/// Expands `text` with the given parameters and the texts that it may use; an error names the line.
pub fn expand(text: &str, params: &[Binding], library: &[Shared]) -> Result<Expanded, String> {
    let mut lines = Vec::new();
    gather(None, text, library, &mut Vec::new(), &mut Vec::new(), &mut lines)?;
    let mut out = Expanded { text: String::with_capacity(text.len() * 4), origins: Vec::new() };
    block(&lines, &mut params.to_vec(), &mut out)?;
    Ok(out)
}

/// Collects the lines of a file, with those of each `use` in its place. `open` are the files that are being read.
fn gather<'a>(
    file: Option<&'a str>,
    text: &'a str,
    library: &'a [Shared],
    open: &mut Vec<&'a str>,
    taken: &mut Vec<&'a str>,
    lines: &mut Vec<Line<'a>>,
) -> Result<(), String> {
    for (number, text) in (1..).zip(text.lines()) {
        let line = Line { file, number, text };
        let Some(name) = directive(text).and_then(|head| head.strip_prefix("use ")).map(str::trim) else {
            lines.push(line);
            continue;
        };
        let known = library.iter().find(|(known, _)| *known == name);
        let &(name, shared) = known.ok_or_else(|| line.fault(format!("there is no lib/{name} to use")))?;
        if open.contains(&name) {
            return Err(line.fault(format!("lib/{name} uses itself: {} → {name}", open.join(" → "))));
        }
        if !taken.contains(&name) {
            taken.push(name);
            open.push(name);
            gather(Some(name), shared, library, open, taken, lines)?;
            open.pop();
        }
    }
    Ok(())
}

fn block<'a>(lines: &[Line<'a>], scope: &mut Vec<Binding<'a>>, out: &mut Expanded) -> Result<(), String> {
    let outside = scope.len();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let place = |why: String| line.fault(why);
        at += 1;
        match directive(line.text) {
            Some("end") => return Err(place("`end` without `for`".into())),
            Some(head) if head.starts_with("let ") => {
                let (name, value) = (head[4..].split_once('='))
                    .ok_or_else(|| place(format!("`{head}` is not `let NAME = EXPRESSION`")))?;
                let value = evaluate(value, scope).map_err(place)?;
                scope.push((name.trim(), value));
            }
            Some(head) => {
                let (name, range) =
                    head.strip_prefix("for ").and_then(|head| head.split_once(" in ")).ok_or_else(|| {
                        place(format!(
                            "`{head}` is none of `use NAME`, `let NAME = VALUE`, `for NAME in A..B` and `end`"
                        ))
                    })?;
                let (low, high) =
                    range.split_once("..").ok_or_else(|| place(format!("`{range}` is not a range A..B")))?;
                let end = at + closing(&lines[at..]).ok_or_else(|| place("`for` without `end`".into()))?;
                let low = evaluate(low, scope).map_err(place)?;
                for i in low..evaluate(high, scope).map_err(place)? {
                    scope.push((name.trim(), i));
                    block(&lines[at..end], scope, out)?;
                    scope.pop();
                }
                at = end + 1;
            }
            None => {
                substitute(line.text, scope, &mut out.text).map_err(place)?;
                out.text.push('\n');
                out.origins.push(line.place());
            }
        }
    }
    scope.truncate(outside);
    Ok(())
}

fn directive(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("//:").map(str::trim)
}

/// The position of the `end` that closes an open `for`.
fn closing(lines: &[Line]) -> Option<usize> {
    let mut depth = 0;
    lines.iter().position(|line| {
        match directive(line.text) {
            Some("end") if depth == 0 => return true,
            Some("end") => depth -= 1,
            Some(head) if head.starts_with("for ") => depth += 1,
            _ => {}
        }
        false
    })
}

fn substitute(line: &str, scope: &[Binding], out: &mut String) -> Result<(), String> {
    let mut rest = line;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let length = match rest.strip_prefix('(') {
            Some(inner) => {
                let mut depth = 1;
                let end = inner.find(|c| {
                    depth += i32::from(c == '(') - i32::from(c == ')');
                    depth == 0
                });
                end.ok_or("`$(` without `)`")? + 2
            }
            None => rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len()),
        };
        out.push_str(&evaluate(&rest[..length], scope)?.to_string());
        rest = &rest[length..];
    }
    out.push_str(rest);
    Ok(())
}

/// The value of an integer expression.
pub fn evaluate(expression: &str, scope: &[Binding]) -> Result<i64, String> {
    let mut parser = Parser { rest: expression.trim(), scope };
    let value = parser.sum()?;
    match parser.rest {
        "" => Ok(value),
        rest => Err(format!("`{rest}` is left over in `{expression}`")),
    }
}

struct Parser<'a> {
    rest: &'a str,
    scope: &'a [Binding<'a>],
}

impl Parser<'_> {
    fn eat(&mut self, operators: &[char]) -> Option<char> {
        let c = self.rest.chars().next().filter(|c| operators.contains(c))?;
        self.rest = self.rest[1..].trim_start();
        Some(c)
    }

    fn sum(&mut self) -> Result<i64, String> {
        let mut value = self.product()?;
        while let Some(operator) = self.eat(&['+', '-']) {
            let right = self.product()?;
            value =
                if operator == '+' { value.checked_add(right) } else { value.checked_sub(right) }.ok_or("overflow")?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<i64, String> {
        let mut value = self.atom()?;
        while let Some(operator) = self.eat(&['*', '/', '%']) {
            let right = self.atom()?;
            value = match operator {
                '*' => value.checked_mul(right),
                '/' => value.checked_div(right),
                _ => value.checked_rem(right),
            }
            .ok_or("overflow or division by zero")?;
        }
        Ok(value)
    }

    fn atom(&mut self) -> Result<i64, String> {
        if self.eat(&['(']).is_some() {
            let value = self.sum()?;
            return self.eat(&[')']).map(|_| value).ok_or_else(|| "`(` without `)`".into());
        }
        let length = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest.trim_start();
        if let Ok(number) = word.parse() {
            return Ok(number);
        }
        let found = self.scope.iter().rev().find(|(name, _)| *name == word);
        found.map(|&(_, value)| value).ok_or_else(|| format!("`{word}` is not a parameter or a loop counter"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let scope = [("r", 3), ("ROWS", 4)];
        for (text, value) in [("2+3*4", 14), ("(2+3)*4", 20), ("r * ROWS + 1", 13), ("7 / 2 % 2", 1), ("9-4-3", 2)] {
            assert_eq!(evaluate(text, &scope), Ok(value), "{text}");
        }
        for text in ["", "2+", "x", "(1", "1)", "1/0", "9223372036854775807+1"] {
            assert!(evaluate(text, &scope).is_err(), "{text}");
        }
    }

    #[test]
    fn loops_nest_and_substitute() {
        let text = "//: for r in 0..R\n  //: for c in r..2\na_$(r)_$c = $(r*10+c);\n  //: end\n//: end\nend";
        let expanded = expand(text, &[("R", 2)], &[]).unwrap();
        assert_eq!(expanded.text, "a_0_0 = 0;\na_0_1 = 1;\na_1_1 = 11;\nend\n");
        assert_eq!(expanded.origins, ["line 3", "line 3", "line 3", "line 6"]);
    }

    #[test]
    fn names_hold_for_the_lines_after_them() {
        let text = "//: let A = R + 1\n$A\n//: for i in 0..2\n//: let B = A * i\n$B\n//: end\n//: use a";
        assert_eq!(expand(text, &[("R", 2)], &[("a", "a$A")]).unwrap().text, "3\n0\n3\na3\n");
        let left = "//: for i in 0..1\n//: let B = 1\n//: end\n$B";
        assert_eq!(expand(left, &[], &[]).unwrap_err(), "line 4: `B` is not a parameter or a loop counter");
    }

    #[test]
    fn shared_texts_are_taken_in_once_and_expanded_too() {
        let library = [("a", "a$N\n//: use b"), ("b", "b"), ("round", "//: use about"), ("about", "x\n//: use round")];
        let expanded = expand("first\n//: use b\n//: use a\nlast", &[("N", 7)], &library).unwrap();
        assert_eq!(expanded.text, "first\nb\na7\nlast\n");
        assert_eq!(expanded.origins, ["line 1", "lib/b line 1", "lib/a line 1", "line 4"]);
        for (text, error) in [
            ("\n//: use c", "line 2: there is no lib/c to use"),
            ("//: use round", "lib/about line 2: lib/round uses itself: round → about → round"),
            ("//: use a", "lib/a line 1: `N` is not a parameter or a loop counter"),
        ] {
            assert_eq!(expand(text, &[], &library).unwrap_err(), error);
        }
    }

    #[test]
    fn malformed_templates_name_the_line() {
        for (text, line) in [
            ("\n//: end", "line 2"),
            ("//: for i in 0..2\n", "line 1"),
            ("//: for i in 2\n//: end", "line 1"),
            ("//: repeat\n//: end", "line 1"),
            ("//: let A", "line 1"),
            ("\n//: let A = x", "line 2"),
            ("\n$x", "line 2"),
            ("$(1", "line 1"),
        ] {
            let error = expand(text, &[], &[]).expect_err(text);
            assert!(error.starts_with(line), "{text}: {error}");
        }
    }
}
