//! Index of the tensors of a file.

use super::element::Element;

/// More tensors than any model of this project has (large-v3 has 1,259); bounds the memory of a hostile index.
pub(super) const MAX_TENSORS: usize = 1 << 14;

/// Maximum number of dimensions of a tensor.
pub(super) const MAX_RANK: usize = 8;

/// Type, shape and position of one tensor. `start..end` lies inside the file and has the length given by type and
/// shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) element: Element,
    pub(super) shape: Vec<usize>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Product of the dimensions, unless it overflows.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    // A zero makes the product zero, however large the other dimensions are. Overflow of the others is refused all the
    // same, because row lengths are computed from parts of the shape.
    shape.iter().try_fold(1usize, |product, &dimension| product.checked_mul(dimension.max(1)))?;
    Some(shape.iter().product())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_that_overflows_is_no_shape_even_behind_a_zero() {
        assert_eq!(elements(&[2, 3, 4]), Some(24));
        assert_eq!(elements(&[]), Some(1));
        assert_eq!(elements(&[0, 5]), Some(0));
        assert_eq!(elements(&[usize::MAX, 2]), None);
        assert_eq!(elements(&[0, usize::MAX, 2]), None);
    }
}
