//! Rows of a pass.

/// Copies the rows `picked` of `x`, `[rows, width]`, into `out`: those whose logits are needed.
///
/// # Panics
/// When there is no such row.
pub fn pick(x: &[f32], width: usize, picked: &[usize], out: &mut Vec<f32>) {
    out.clear();
    for &row in picked {
        out.extend_from_slice(&x[row * width..(row + 1) * width]);
    }
}
