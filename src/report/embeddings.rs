//! Embeddings as pictures: the rows of each embedding along their first two principal components.

use crate::data::schema::{TARGET, TEXT};
use crate::data::{Column, Dataset};
use crate::error::{Error, Result};
use crate::model::layers::Embedding;
use crate::model::{Model, Weights};
use crate::text::Tokenizer;
use serde::Serialize;
use std::cmp::Reverse;

/// Tokens that a picture shows: the commonest.
const SHOWN: usize = 200;

/// Tokens whose rows are compared at most: the commonest, so that a large vocabulary takes seconds, not minutes.
const COMPARED: usize = 5000;

/// Steps of the power iteration at most: components whose variances differ by a hundredth are apart long before.
const STEPS: usize = 2000;

/// An embedding, seen along its first two principal components.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EmbeddingPicture {
    /// The layer, such as `0 embedding`.
    pub layer: String,
    /// The numbers of a row.
    pub size: usize,
    /// The tokens whose rows are compared: those of the training text, the commonest where these are many.
    pub compared: usize,
    /// The tokens of the vocabulary.
    pub tokens: usize,
    /// The share of the variance of these rows along each component.
    pub shares: [f64; 2],
    /// The commonest tokens, the commonest first: name, both coordinates, and how often the training text has it.
    pub points: Vec<(String, [f64; 2], u64)>,
}

/// A picture of each embedding of a model; none of one with fewer than three tokens or numbers that do not differ.
///
/// # Errors
/// [`Error::Input`] where weights and data do not go with the model.
pub fn embeddings(model: &Model, weights: &Weights, data: &Dataset) -> Result<Vec<EmbeddingPicture>> {
    let mut found = Vec::new();
    for ((index, layer), writes) in model.layers.iter().enumerate().zip(model.writes()) {
        let Some(embedding) = layer.get::<Embedding>() else { continue };
        let (field, tokenizer) = if writes { (TARGET, model.target_tokenizer()?) } else { (TEXT, model.tokenizer()?) };
        let column = data.train.column(field).ok_or_else(|| Error::input(format!("the data has no {field}")))?;
        let name = format!("{index}.weight");
        let rows = weights.get(&name).ok_or_else(|| Error::input(format!("found no weights {name}")))?;
        let layer = format!("{index}  {}", layer.describe());
        found.extend(pictured(layer, &rows.values, embedding.size, tokenizer, column));
    }
    Ok(found)
}

/// The picture of rows [tokens, size].
fn pictured(
    layer: String,
    rows: &[f32],
    size: usize,
    tokenizer: &Tokenizer,
    column: &Column,
) -> Option<EmbeddingPicture> {
    let mut counts = vec![0u64; tokenizer.tokens().len()];
    let all = column.field().stream.unwrap_or(usize::MAX);
    for token in column.words(0..column.count()).take(all) {
        counts.get_mut(token as usize).into_iter().for_each(|count| *count += 1);
    }
    let mut order: Vec<usize> = (0..counts.len()).filter(|token| counts[*token] > 0).collect();
    order.sort_by_key(|token| (Reverse(counts[*token]), *token));
    order.truncate(COMPARED);
    let of = |token: &usize| rows.get(token * size..(token + 1) * size);
    let rows: Vec<f64> = order.iter().filter_map(of).flatten().map(|x| f64::from(*x)).collect();
    let Components { shares, places } = components(&rows, size)?;
    let rounded = |x: f64| (x * 1e5).round() / 1e5;
    let point =
        |(token, place): (&usize, &[f64; 2])| (tokenizer.tokens()[*token].clone(), place.map(rounded), counts[*token]);
    Some(EmbeddingPicture {
        layer,
        size,
        compared: order.len(),
        tokens: counts.len(),
        shares,
        points: order.iter().zip(&places).take(SHOWN).map(point).collect(),
    })
}

/// Rows along the two directions in which they differ most.
struct Components {
    /// The shares of the variance.
    shares: [f64; 2],
    /// The coordinates of each row, about their mean.
    places: Vec<[f64; 2]>,
}

/// The first two principal components of rows [count, size]; none of fewer than three, and of rows that are all the same.
fn components(rows: &[f64], size: usize) -> Option<Components> {
    let count = rows.len() / size.max(1);
    if count < 3 || rows.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let mut mean = vec![0.0; size];
    rows.chunks(size).for_each(|row| mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / count as f64));
    let centred: Vec<f64> = rows.chunks(size).flat_map(|row| row.iter().zip(&mean).map(|(x, mean)| x - mean)).collect();
    let mut covariance = vec![0.0; size * size];
    for row in centred.chunks(size) {
        for (x, line) in row.iter().zip(covariance.chunks_mut(size)) {
            line.iter_mut().zip(row).for_each(|(sum, y)| *sum += x * y / count as f64);
        }
    }
    let total: f64 = (0..size).map(|at| covariance[at * size + at]).sum();
    if total <= 0.0 || total.is_nan() {
        return None;
    }
    let first = direction(&covariance, size, None);
    let second = direction(&covariance, size, Some(&first));
    let along = |vector: &[f64]| dot(vector, &times(&covariance, vector)) / total;
    let place = |row: &[f64]| [dot(row, &first), dot(row, &second)];
    Some(Components { shares: [along(&first), along(&second)], places: centred.chunks(size).map(place).collect() })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    matrix.chunks(vector.len()).map(|row| dot(row, vector)).collect()
}

/// The direction of the largest variance, of those at right angles to `first`: by power iteration from a fixed beginning. Its
/// largest number is positive. Zeros where no variance is left.
fn direction(covariance: &[f64], size: usize, first: Option<&[f64]>) -> Vec<f64> {
    // Numbers that no direction is at right angles to by its make: multiples of the golden ratio.
    let mut vector: Vec<f64> = (1..=size).map(|n| (n as f64 * 0.618_033_988_749_895).fract() - 0.4).collect();
    let normalise = |vector: &mut Vec<f64>| {
        if let Some(first) = first {
            let along = dot(vector, first);
            vector.iter_mut().zip(first).for_each(|(x, f)| *x -= along * f);
        }
        let length = dot(vector, vector).sqrt();
        let scale = if length > f64::MIN_POSITIVE.sqrt() { 1.0 / length } else { 0.0 };
        vector.iter_mut().for_each(|x| *x *= scale);
    };
    normalise(&mut vector);
    for _ in 0..STEPS {
        let mut next = times(covariance, &vector);
        normalise(&mut next);
        let moved = next.iter().zip(&vector).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        vector = next;
        if moved < 1e-13 {
            break;
        }
    }
    let largest = vector.iter().copied().fold(0.0, |most: f64, x| if x.abs() > most.abs() { x } else { most });
    if largest < 0.0 {
        vector.iter_mut().for_each(|x| *x = -*x);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on known axes: the components, their shares and the coordinates follow by hand.
    #[test]
    fn components_of_points_on_known_axes() {
        // Axes (3, 4)/5 and (−4, 3)/5 in a plane of three numbers, with ±2 and ±1 along them, about (7, −1, 5).
        let axes = [[0.6, 0.8], [-0.8, 0.6]];
        let places = [[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]];
        let row =
            |[a, b]: &[f64; 2]| [7.0 + a * axes[0][0] + b * axes[1][0], -1.0 + a * axes[0][1] + b * axes[1][1], 5.0];
        let rows: Vec<f64> = places.iter().flat_map(row).collect();
        let found = components(&rows, 3).unwrap();
        for (share, expected) in found.shares.iter().zip([0.8, 0.2]) {
            assert!((share - expected).abs() < 1e-12, "{:?}", found.shares);
        }
        for (found, expected) in found.places.iter().zip(places) {
            // The largest number of the second axis is −0.8, so the axis is turned round.
            assert!((found[0] - expected[0]).abs() < 1e-9 && (found[1] + expected[1]).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn what_has_no_components_gives_no_picture() {
        assert!(components(&[1.0; 12], 3).is_none(), "all the same");
        assert!(components(&[1.0, 2.0], 1).is_none(), "two rows");
        assert!(components(&[f64::NAN; 9], 3).is_none());
        let line = components(&[1.0, 2.0, 4.0], 1).unwrap();
        assert_eq!(line.shares, [1.0, 0.0], "one number has one direction");
        assert!(line.places.iter().all(|place| place[1] == 0.0));
    }
}
