//! Loops of the native CPU over whole vectors.

use crate::ir::op::Real;

/// Elements that a formula is computed for at once: whole vectors on every processor.
pub const AT_ONCE: usize = 16;

/// Computes a formula for every element of the slices that are named: `each!([a, b] => [y, z] { … (y, z) })`. In the formula
/// the names are elements, those of the results as they were before. It goes through copies, since several elements are
/// computed at once only where the compiler knows that no result overlaps an argument; and it is a macro, since what takes a
/// closure, as `for_each` does, may not be inlined into code for wide vectors, and is then compiled for narrow ones.
macro_rules! each {
    ([$($x:ident),+] => [$($y:ident),+] $formula:block) => {{
        let mut to = [$(&mut *$y),+];
        for start in (0..to[0].len()).step_by($crate::ops::vectors::AT_ONCE) {
            let found = {
                let [$($y),+] = &to;
                let ($($x,)+) = ($($crate::ops::vectors::loaded(&$x[start..]),)+);
                let ($(mut $y,)+) = ($($crate::ops::vectors::loaded(&$y[start..]),)+);
                for k in 0..$crate::ops::vectors::AT_ONCE {
                    ($($y[k],)+) = {
                        #[allow(unused_variables)]
                        let ($($x,)+) = ($($x[k],)+);
                        #[allow(unused_variables)]
                        let ($($y,)+) = ($($y[k],)+);
                        $formula
                    };
                }
                [$($y),+]
            };
            for (to, found) in to.iter_mut().zip(&found) {
                $crate::ops::vectors::stored(&mut to[start..], found);
            }
        }
    }};
}
pub(in crate::ops) use each;

/// Elements, with zeros where there are fewer.
#[inline(always)]
pub fn loaded<F: Real>(x: &[F]) -> [F; AT_ONCE] {
    match x.first_chunk() {
        Some(x) => *x,
        None => {
            let mut padded = [F::of(0.0); AT_ONCE];
            padded[..x.len()].copy_from_slice(x);
            padded
        }
    }
}

/// Puts elements where there is room for them.
#[inline(always)]
pub fn stored<F: Real>(y: &mut [F], found: &[F; AT_ONCE]) {
    let room = y.len().min(AT_ONCE);
    match y.first_chunk_mut() {
        Some(y) => *y = *found,
        None => y.copy_from_slice(&found[..room]),
    }
}

/// The sum of x, in double precision from run to run.
#[inline(always)]
pub fn sum(x: &[f32]) -> f64 {
    dot(x, None)
}

/// The sum of x, or of its products with the elements of another slice, in double precision from run to run.
#[inline(always)]
pub fn dot(x: &[f32], with: Option<&[f32]>) -> f64 {
    const RUN: usize = 256 * AT_ONCE;
    let mut whole = 0.0;
    for start in (0..x.len()).step_by(RUN) {
        let mut sums = [0.0; AT_ONCE];
        let end = x.len().min(start + RUN);
        for at in (start..end).step_by(AT_ONCE) {
            let to = end.min(at + AT_ONCE);
            let (x, y) = (loaded(&x[at..to]), with.map_or([1.0; AT_ONCE], |with| loaded(&with[at..to])));
            for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
                *sum += x * y;
            }
        }
        for sum in sums {
            whole += f64::from(sum);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_products_take_every_element_once() {
        for count in [0, 1, 15, 16, 17, 4096, 4097, 10_007] {
            let x: Vec<f32> = (0..count).map(|i| (i % 7) as f32 - 2.0).collect();
            let y: Vec<f32> = (0..count).map(|i| (i % 5) as f32).collect();
            let expected: f64 = x.iter().zip(&y).map(|(x, y)| f64::from(x * y)).sum();
            assert_eq!((sum(&x), dot(&x, Some(&y))), (x.iter().map(|x| f64::from(*x)).sum(), expected), "{count}");
        }
    }

    #[test]
    fn a_formula_is_computed_for_every_element() {
        for count in [0, 1, 16, 37] {
            let a: Vec<f32> = (0..count).map(|i| i as f32).collect();
            let (mut y, mut z) = (vec![1.0; count], vec![2.0; count]);
            let (to_y, to_z) = (&mut y[..], &mut z[..]);
            each!([a] => [to_y, to_z] { (a + to_y, a * to_z) });
            let expected: Vec<[f32; 2]> = a.iter().map(|a| [a + 1.0, a * 2.0]).collect();
            assert_eq!(y.into_iter().zip(z).map(|(y, z)| [y, z]).collect::<Vec<_>>(), expected, "{count}");
        }
    }
}
