//! The position of the weight of output column `n` at depth `k` in a packed matrix.

use std::fmt;

/// A memory order of int8 weights: the one that an instruction set reads from front to back.
///
/// All layouts split the columns into panels, and the depth, padded with zeros to a multiple of 16, into groups:
/// `[panels][depth / group][columns][group]`. A group holds `group` consecutive values of each column of its panel. One
/// exception: [`Pairs`](Self::Pairs) stores the two halves of a panel's columns one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// Column after column. For the scalar set.
    Columns,
    /// Panels of 2 × 8 columns, groups of 4, for AVX2.
    Pairs,
    /// Panels of 32 columns, groups of 4, each weight stored as weight + 128, for AVX-512 VNNI.
    Vnni,
    /// Panels of 12 columns, groups of 4, for NEON and `sdot`.
    Quads,
    /// Panels of 12 columns, groups of 8, for `smmla`.
    Octets,
}

/// The depth is padded to a multiple of this: the step of the widest inner loop.
pub(crate) const DEPTH_STEP: usize = 16;

/// Maximum columns of a panel in any layout.
pub(crate) const MAX_PANEL: usize = 32;

impl Layout {
    /// All layouts.
    pub const ALL: [Self; 5] = [Self::Columns, Self::Pairs, Self::Vnni, Self::Quads, Self::Octets];

    /// Number of the layout in files. A number never changes its meaning; a changed layout gets a new one.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::Columns => 1,
            Self::Pairs => 2,
            Self::Vnni => 3,
            Self::Quads => 4,
            Self::Octets => 5,
        }
    }

    /// The layout with this number, if it is known.
    #[must_use]
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.id() == id)
    }

    /// Name in file metadata, on command lines and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Columns => "columns",
            Self::Pairs => "pairs",
            Self::Vnni => "vnni",
            Self::Quads => "quads",
            Self::Octets => "octets",
        }
    }

    /// Columns per panel.
    #[must_use]
    pub const fn panel(self) -> usize {
        match self {
            Self::Columns | Self::Pairs => 16,
            Self::Vnni => 32,
            Self::Quads | Self::Octets => 12,
        }
    }

    /// Depth as stored.
    pub(crate) const fn padded_depth(depth: usize) -> usize {
        depth.next_multiple_of(DEPTH_STEP)
    }

    /// Added to a weight before it is stored as a byte.
    pub(crate) const fn offset(self) -> u8 {
        match self {
            Self::Vnni => 128,
            _ => 0,
        }
    }

    /// Whether weights are stored as int8; otherwise as the unsigned byte weight + 128.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        self.offset() == 0
    }

    /// Bytes of one panel whose columns are `depth` long.
    #[must_use]
    pub const fn panel_len(self, depth: usize) -> usize {
        self.panel() * Self::padded_depth(depth)
    }

    /// Index of one weight inside its panel; `column` counts from the panel's first.
    pub(crate) const fn index(self, padded_depth: usize, column: usize, k: usize) -> usize {
        match self {
            Self::Columns => column * padded_depth + k,
            Self::Pairs => (column / 8) * 8 * padded_depth + (k / 4) * 32 + (column % 8) * 4 + k % 4,
            Self::Vnni => (k / 4) * 128 + column * 4 + k % 4,
            Self::Quads => (k / 4) * 48 + column * 4 + k % 4,
            Self::Octets => (k / 8) * 96 + column * 8 + k % 8,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_panel_has_one_weight() {
        for layout in Layout::ALL {
            let depth = 48;
            let mut seen = vec![false; layout.panel_len(depth)];
            for column in 0..layout.panel() {
                for k in 0..depth {
                    assert!(!std::mem::replace(&mut seen[layout.index(depth, column, k)], true), "{layout:?}");
                }
            }
            assert!(seen.into_iter().all(|seen| seen));
            assert_eq!(Layout::from_id(layout.id()), Some(layout));
            assert!(layout.panel() <= MAX_PANEL && layout.panel_len(1) % crate::aligned::ALIGNMENT == 0);
        }
    }
}
