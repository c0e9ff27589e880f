//! Finds the ink on a picture: grey values, background subtracted, specks removed.

use crate::data::pictures::picture::Picture;

/// The longest side that the search works on; larger pictures are shrunk by a whole number first.
const SIDE: usize = 512;

/// Less than this between the darkest and the lightest is a blank page.
const LEAST_CONTRAST: f32 = 12.0 / 255.0;

/// Pixels that differ less than this are background, however uniform it is.
const LEAST_INK: f32 = 2.5 / 255.0;

/// Where nine tenths of the ink are below this, all of it is made stronger, until the tenth part is full.
const FAINT: f32 = 0.9;

/// Grey values from 0 to 1, [height, width].
#[derive(Clone, PartialEq)]
pub(in crate::data) struct Grey {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
}

impl std::fmt::Debug for Grey {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Grey {}×{}", self.width, self.height)
    }
}

/// Grey values (the luma of ITU-R BT.601), the opacity laid on white, or on black where what is opaque is light; and
/// by how much they were shrunk.
pub(in crate::data) fn grey(picture: &Picture) -> (Grey, usize) {
    let luma = |p: &[u8]| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
    let (mut light, mut opaque) = (0.0f64, 0.0f64);
    for pixel in picture.rgba().chunks_exact(4) {
        light += f64::from(luma(pixel)) * f64::from(pixel[3]);
        opaque += f64::from(pixel[3]);
    }
    let ground = if light > 127.5 * opaque { 0.0 } else { 255.0 };
    let seen = opaque < 255.0 * (picture.rgba().len() / 4) as f64;
    let by = picture.width().max(picture.height()).div_ceil(SIDE);
    let (width, height) = (picture.width().div_ceil(by), picture.height().div_ceil(by));
    let mut values = Vec::with_capacity(width * height);
    for row in 0..height {
        for column in 0..width {
            let (mut sum, mut count) = (0.0, 0.0);
            for y in row * by..((row + 1) * by).min(picture.height()) {
                let line = &picture.rgba()[y * picture.width() * 4..][..picture.width() * 4];
                for pixel in line[column * by * 4..].chunks_exact(4).take(by) {
                    let opacity = if seen { f32::from(pixel[3]) / 255.0 } else { 1.0 };
                    sum += luma(pixel) * opacity + ground * (1.0 - opacity);
                    count += 1.0;
                }
            }
            values.push(sum / count / 255.0);
        }
    }
    (Grey { width, height, values }, by)
}

/// The result of `find`.
pub(in crate::data) struct Found {
    /// The ink: up to 1 on 0.
    pub ink: Grey,
    /// Whether the background was light.
    pub light: bool,
    /// Whether the ink was faint, and has been made stronger.
    pub faint: bool,
}

/// The ink of a picture; `None` for a blank page.
pub(in crate::data) fn find(mut grey: Grey) -> Option<Found> {
    let (least, most) = grey.range();
    if most - least < LEAST_CONTRAST {
        return None;
    }
    let light = grey.border_median() > otsu(&grey.values);
    if light {
        grey.values.iter_mut().for_each(|value| *value = 1.0 - *value);
    }
    // Light falls unevenly on paper: the background is what a window wider than any stroke finds at its darkest.
    let window = (grey.width.max(grey.height) * 35 / 100).max(3) | 1;
    let background = grey.background(window);
    for (value, background) in grey.values.iter_mut().zip(&background) {
        // What is left between the background and full ink: the same in the light and in the shade.
        *value = (*value - background) / (1.0 - background).max(LEAST_CONTRAST);
    }

    // What is left of the background is noise about its median; 7.4 median deviations are five of a Gaussian's.
    let between = otsu(&grey.values);
    let mut noise: Vec<f32> = grey.values.iter().copied().filter(|value| *value < between).collect();
    let middle = median(&mut noise);
    noise.iter_mut().for_each(|value| *value = (*value - middle).abs());
    let floor = (7.4 * median(&mut noise)).max(LEAST_INK);
    for value in &mut grey.values {
        *value = if *value - middle < floor { 0.0 } else { *value - middle };
    }
    grey.drop_specks();
    let mut ink: Vec<f32> = grey.values.iter().copied().filter(|value| *value > 0.0).collect();
    let at = ink.len().checked_sub(1)? * 9 / 10;
    let full = *ink.select_nth_unstable_by(at, f32::total_cmp).1;
    let faint = full < FAINT;
    if faint {
        grey.values.iter_mut().for_each(|value| *value = (*value / full).min(1.0));
    }
    Some(Found { ink: grey, light, faint })
}

impl Grey {
    fn range(&self) -> (f32, f32) {
        self.values.iter().fold((f32::MAX, f32::MIN), |(least, most), &v| (least.min(v), most.max(v)))
    }

    /// The median of the outermost pixels.
    fn border_median(&self) -> f32 {
        let edge = |at: &usize| {
            let (row, column) = (at / self.width, at % self.width);
            row == 0 || column == 0 || row + 1 == self.height || column + 1 == self.width
        };
        let mut border: Vec<f32> = (0..self.values.len()).filter(edge).map(|at| self.values[at]).collect();
        median(&mut border)
    }

    /// The background under the ink: the morphological opening by a square (the least value of every window, then the
    /// largest of those), carried on in a straight line where windows are cut off.
    fn background(&self, window: usize) -> Vec<f32> {
        let mut values = self.values.clone();
        self.lines(&mut values, |line| slide(line, window, f32::min));
        self.lines(&mut values, |line| slide(line, window, f32::max));
        let inner = values.clone();
        self.lines(&mut values, |line| extend(line, window));
        let known = inner.iter().zip(&self.values);
        values.iter().zip(known).map(|(value, (&least, &most))| value.max(least).min(most)).collect()
    }

    /// Replaces every row, and then every column.
    fn lines(&self, values: &mut [f32], change: impl Fn(&[f32]) -> Vec<f32>) {
        for row in values.chunks_mut(self.width) {
            row.copy_from_slice(&change(row));
        }
        for x in 0..self.width {
            let column: Vec<f32> = values.iter().skip(x).step_by(self.width).copied().collect();
            let places = values.iter_mut().skip(x).step_by(self.width);
            places.zip(change(&column)).for_each(|(place, value)| *place = value);
        }
    }

    /// Clears what hangs together but has less than a fiftieth of the largest part's mass.
    fn drop_specks(&mut self) {
        let mut part = vec![usize::MAX; self.values.len()];
        let mut masses: Vec<f32> = Vec::new();
        for start in 0..self.values.len() {
            if self.values[start] == 0.0 || part[start] != usize::MAX {
                continue;
            }
            let (mut mass, mut open) = (0.0, vec![start]);
            part[start] = masses.len();
            while let Some(at) = open.pop() {
                mass += self.values[at];
                let (row, column) = (at / self.width, at % self.width);
                for y in row.saturating_sub(1)..(row + 2).min(self.height) {
                    for x in column.saturating_sub(1)..(column + 2).min(self.width) {
                        let next = y * self.width + x;
                        if self.values[next] > 0.0 && part[next] == usize::MAX {
                            part[next] = masses.len();
                            open.push(next);
                        }
                    }
                }
            }
            masses.push(mass);
        }
        let largest = masses.iter().copied().fold(0.0, f32::max);
        for (value, part) in self.values.iter_mut().zip(part) {
            if masses.get(part).is_some_and(|mass| *mass < largest / 50.0) {
                *value = 0.0;
            }
        }
    }

    /// Top, left, rows and columns of what is above zero.
    pub fn content_box(&self) -> Option<[usize; 4]> {
        let inked = |at: &usize| self.values[*at] > 0.0;
        let rows = || (0..self.values.len()).filter(inked).map(|at| at / self.width);
        let columns = || (0..self.values.len()).filter(inked).map(|at| at % self.width);
        let (top, bottom, left, right) = (rows().min()?, rows().max()?, columns().min()?, columns().max()?);
        Some([top, left, bottom - top + 1, right - left + 1])
    }

    /// A part, by top, left, rows and columns.
    pub fn crop(&self, [top, left, rows, columns]: [usize; 4]) -> Grey {
        let lines = self.values.chunks(self.width).skip(top).take(rows);
        Grey {
            width: columns,
            height: rows,
            values: lines.flat_map(|line| &line[left..][..columns]).copied().collect(),
        }
    }

    /// Row and column of the centre of mass, in pixels from the edge.
    pub fn centre(&self) -> Option<[f64; 2]> {
        let [mut y, mut x, mut mass] = [0.0; 3];
        for (at, &value) in self.values.iter().enumerate() {
            let value = f64::from(value);
            y += value * ((at / self.width) as f64 + 0.5);
            x += value * ((at % self.width) as f64 + 0.5);
            mass += value;
        }
        (mass > 0.0).then(|| [y / mass, x / mass])
    }
}

/// The picked value of the window about each place of a line, cut off at its ends.
fn slide(line: &[f32], window: usize, pick: fn(f32, f32) -> f32) -> Vec<f32> {
    // Blocks of one window's length: every window is the end of one block and the start of the next (van Herk, 1992).
    let (n, before) = (line.len(), window / 2);
    let (mut ahead, mut behind) = (line.to_vec(), line.to_vec());
    for at in 1..n {
        if !at.is_multiple_of(window) {
            ahead[at] = pick(ahead[at - 1], ahead[at]);
        }
        let back = n - 1 - at;
        if !(back + 1).is_multiple_of(window) {
            behind[back] = pick(behind[back + 1], behind[back]);
        }
    }
    let at = |at: usize| {
        let (first, last) = (at.saturating_sub(before), (at + window - 1 - before).min(n - 1));
        match first / window == last / window {
            // A whole block, or at the ends less than one.
            true => line[first..=last].iter().copied().reduce(pick).unwrap_or(0.0),
            false => pick(behind[first], ahead[last]),
        }
    };
    (0..n).map(at).collect()
}

/// A line whose two ends, half a window long, go on as straight as the half windows next to them run.
fn extend(line: &[f32], window: usize) -> Vec<f32> {
    let (n, half) = (line.len(), window / 2);
    let mut line = line.to_vec();
    if half == 0 || n < 4 * half + 1 {
        return line;
    }
    let slope = |from: usize, to: usize| (line[to] - line[from]) / half as f32;
    let (first, last) = (slope(half, 2 * half), slope(n - 1 - 2 * half, n - 1 - half));
    for step in 1..=half {
        line[half - step] = line[half] - first * step as f32;
        line[n - 1 - half + step] = line[n - 1 - half] + last * step as f32;
    }
    line
}

fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// The threshold that parts dark from light best (Otsu, 1979), from 256 steps of the values' range.
fn otsu(values: &[f32]) -> f32 {
    let (least, most) = values.iter().fold((f32::MAX, f32::MIN), |(least, most), &v| (least.min(v), most.max(v)));
    let step = (most - least) / 255.0;
    if step <= 0.0 {
        return least;
    }
    let mut counts = [0.0f64; 256];
    values.iter().for_each(|value| counts[(((value - least) / step) as usize).min(255)] += 1.0);
    let total: f64 = values.len() as f64;
    let sum: f64 = counts.iter().enumerate().map(|(at, count)| at as f64 * count).sum();
    let (mut best, mut split) = (-1.0, 0);
    let (mut below, mut below_sum) = (0.0, 0.0);
    for (at, count) in counts[..255].iter().enumerate() {
        below += count;
        below_sum += at as f64 * count;
        if below == 0.0 || below == total {
            continue;
        }
        let apart = below_sum / below - (sum - below_sum) / (total - below);
        let between = below * (total - below) * apart * apart;
        if between > best {
            (best, split) = (between, at);
        }
    }
    least + (split as f32 + 1.0) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides_as_its_definition_says() {
        for n in [1, 2, 3, 7, 24] {
            let line: Vec<f32> = (0..n).map(|i| ((i * 37 + 11) % 19) as f32).collect();
            for window in [1, 2, 3, 5, 8, 30] {
                for pick in [f32::min as fn(f32, f32) -> f32, f32::max] {
                    for (at, found) in slide(&line, window, pick).iter().enumerate() {
                        let first = at.saturating_sub(window / 2);
                        let last = (at + window - 1 - window / 2).min(n - 1);
                        let want = line[first..=last].iter().copied().reduce(pick).unwrap();
                        assert_eq!(*found, want, "{n} {window} {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn otsu_parts_two_heaps() {
        let values: Vec<f32> = (0..90).map(|i| 0.1 + 0.001 * (i % 10) as f32).chain([0.8; 10]).collect();
        let threshold = otsu(&values);
        assert!(threshold > 0.109 && threshold <= 0.8, "{threshold}");
    }
}
