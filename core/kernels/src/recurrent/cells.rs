//! Recurrent cells: they update a state from the products of input and state with the weights.

use crate::sigmoid;

/// Long short-term memory (Hochreiter and Schmidhuber 1997) in PyTorch's order: `gates` holds the summed products of
/// input and state for the input gate, the forget gate, the cell and the output gate, `[4, width]`. Updates `cell` and
/// `hidden`.
///
/// # Panics
/// When there are not four gates for each value of the state.
pub fn lstm_cell(gates: &[f32], cell: &mut [f32], hidden: &mut [f32]) {
    let width = hidden.len();
    assert_eq!((gates.len(), cell.len()), (4 * width, width), "four gates for each value of the state");
    for (index, (hidden, cell)) in hidden.iter_mut().zip(cell).enumerate() {
        let gate = |number: usize| gates[number * width + index];
        *cell = sigmoid(gate(1)) * *cell + sigmoid(gate(0)) * tanh(gate(2));
        *hidden = sigmoid(gate(3)) * tanh(*cell);
    }
}

/// Gated recurrent unit (Cho et al. 2014) as PyTorch defines it: the reset gate scales the product of the state, its
/// bias included. `of_input` and `of_state` are the products for the reset gate, the update gate and the new state,
/// `[3, width]`. Updates `hidden`.
///
/// # Panics
/// When there are not three gates for each value of the state.
pub fn gru_cell(of_input: &[f32], of_state: &[f32], hidden: &mut [f32]) {
    let width = hidden.len();
    assert_eq!((of_input.len(), of_state.len()), (3 * width, 3 * width), "three gates for each value of the state");
    for (index, hidden) in hidden.iter_mut().enumerate() {
        let gate = |number: usize| sigmoid(of_input[number * width + index] + of_state[number * width + index]);
        let (reset, update) = (gate(0), gate(1));
        let new = tanh(of_input[2 * width + index] + reset * of_state[2 * width + index]);
        *hidden = (1.0 - update) * new + update * *hidden;
    }
}

fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: &[f32], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6), "{found:?} {expected:?}");
    }

    #[test]
    fn a_long_short_term_memory_does_what_its_equations_say() {
        let gates = [0.5f32, -1.0, 2.0, 0.3, -0.7, 1.1, 0.2, 0.9];
        let mut cell = [0.4f32, -0.8];
        let mut hidden = [0.0; 2];
        let sigmoid = |x: f32| 1.0 / (1.0 + (-f64::from(x)).exp());
        let of = |i: usize, cell: f32| {
            let cell = sigmoid(gates[2 + i]) * f64::from(cell) + sigmoid(gates[i]) * f64::from(gates[4 + i]).tanh();
            (cell, sigmoid(gates[6 + i]) * cell.tanh())
        };
        let expected = [of(0, cell[0]), of(1, cell[1])];
        lstm_cell(&gates, &mut cell, &mut hidden);
        near(&cell, &expected.map(|(cell, _)| cell));
        near(&hidden, &expected.map(|(_, hidden)| hidden));
    }

    #[test]
    fn a_gated_unit_keeps_or_renews_its_state_as_its_gates_say() {
        let input = [0.1f32, 3.0, -0.4];
        let state = [0.7f32, -1.0, 0.6];
        let mut hidden = [0.25f32];
        let sigmoid = |x: f32| 1.0 / (1.0 + (-f64::from(x)).exp());
        let (reset, update) = (sigmoid(0.8), sigmoid(2.0));
        let new = (f64::from(-0.4f32) + reset * f64::from(0.6f32)).tanh();
        gru_cell(&input, &state, &mut hidden);
        near(&hidden, &[(1.0 - update) * new + update * 0.25]);
    }
}
