//! Expansion of shader templates (`.wgsl.in`): repetition and constants, nothing more.
//!
//! A line `//: for i in A..B` repeats the lines up to its `//: end` with `i` counting from A to B - 1.
//! `$(…)` stands for the value of an integer expression over the loop counters and the parameters, with
//! `+ - * / % ( )`; `$i` is short for `$(i)`.
//!
//! What is repeated joins conditions by `&` and `|`: `&&` and `||` branch, and a driver's compiler can take far longer
//! for a few of them more (a minute did not do SwiftShader's for fourteen lines, and a fifth of a second did for none).

/// A name and its value.
pub type Binding<'a> = (&'a str, i64);

/// Expands `text` with the given parameters; the error names the line.
pub fn expand(text: &str, params: &[Binding]) -> Result<String, String> {
    let lines: Vec<(usize, &str)> = text.lines().enumerate().map(|(i, line)| (i + 1, line)).collect();
    let mut out = String::with_capacity(text.len() * 4);
    block(&lines, &mut params.to_vec(), &mut out)?;
    Ok(out)
}

fn block<'a>(lines: &[(usize, &'a str)], scope: &mut Vec<Binding<'a>>, out: &mut String) -> Result<(), String> {
    let mut at = 0;
    while at < lines.len() {
        let (number, line) = lines[at];
        let place = |why: String| format!("line {number}: {why}");
        at += 1;
        match directive(line) {
            Some("end") => return Err(place("`end` without `for`".into())),
            Some(head) => {
                let (name, range) = head
                    .strip_prefix("for ")
                    .and_then(|head| head.split_once(" in "))
                    .ok_or_else(|| place(format!("`{head}` is neither `for NAME in A..B` nor `end`")))?;
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
                substitute(line, scope, out).map_err(place)?;
                out.push('\n');
            }
        }
    }
    Ok(())
}

fn directive(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("//:").map(str::trim)
}

/// The position of the `end` that closes an open `for`.
fn closing(lines: &[(usize, &str)]) -> Option<usize> {
    let mut depth = 0;
    lines.iter().position(|(_, line)| {
        match directive(line) {
            Some("end") if depth == 0 => return true,
            Some("end") => depth -= 1,
            Some(_) => depth += 1,
            None => {}
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
        assert_eq!(expand(text, &[("R", 2)]).as_deref(), Ok("a_0_0 = 0;\na_0_1 = 1;\na_1_1 = 11;\nend\n"));
    }

    #[test]
    fn malformed_templates_name_the_line() {
        for (text, line) in [
            ("\n//: end", "line 2"),
            ("//: for i in 0..2\n", "line 1"),
            ("//: for i in 2\n//: end", "line 1"),
            ("//: repeat\n//: end", "line 1"),
            ("\n$x", "line 2"),
            ("$(1", "line 1"),
        ] {
            let error = expand(text, &[]).expect_err(text);
            assert!(error.starts_with(line), "{text}: {error}");
        }
    }
}
