// The `store` of a product y [rows, columns] with what becomes of its sums, or of its parts [splits, rows, columns]; in a
// batch one after the other. The file that uses this takes in finished(sum, place, column).
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn store(row: u32, column: u32, sum: f32, split: u32) {
    if row >= rows() || column >= columns() {
        return;
    }
    let count = rows() * columns();
    let place = item * count + row * columns() + column;
    if splits > 1u {
        y[split * batch * count + place] = sum;
    } else {
        y[place] = finished(sum, place, column);
    }
}
