//! Weight types by the part of the network.

use std::fmt;

use sotto_nn::layers::WeightType;
use sotto_nn::packed::PackedModel;

/// How the weights of each part are quantized. The convolutions, which read the features, always have 8 bits.
///
/// [`WeightType::Int4`] converts to 4 bits for the weights that each token reads (decoder and embedding) and 8 for the
/// encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WeightTypes {
    /// The encoder's blocks and the projections of the audio to keys and values: products of hundreds of rows, whose
    /// time is arithmetic; 4 bits make them slower.
    pub encoder: WeightType,
    /// The decoder's blocks.
    pub decoder: WeightType,
    /// The token embedding, which is also the output layer.
    pub embedding: WeightType,
}

impl From<WeightType> for WeightTypes {
    fn from(weights: WeightType) -> Self {
        Self { encoder: WeightType::Int8, decoder: weights, embedding: weights }
    }
}

/// Prints `int8`, `int4`, or part by part: `encoder int8, decoder int4, embedding int8`.
impl fmt::Display for WeightTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { encoder, decoder, embedding } = self;
        if Self::from(*decoder) == *self {
            return f.write_str(decoder.name());
        }
        write!(f, "encoder {}, decoder {}, embedding {}", encoder.name(), decoder.name(), embedding.name())
    }
}

impl WeightTypes {
    /// The type for the part of a matrix; `None` for the convolutions.
    fn part(&mut self, matrix: &str) -> Option<&mut WeightType> {
        match matrix {
            _ if matrix.starts_with("encoder.conv") => None,
            _ if matrix.starts_with("encoder.") => Some(&mut self.encoder),
            _ if matrix.ends_with("encoder_attn.k_proj+v_proj") => Some(&mut self.encoder),
            "decoder.embed_tokens" | "proj_out" => Some(&mut self.embedding),
            _ => Some(&mut self.decoder),
        }
    }

    /// The weight type of the matrix with this name.
    pub(super) fn of_matrix(mut self, matrix: &str) -> WeightType {
        self.part(matrix).map_or(WeightType::Int8, |found| *found)
    }

    /// The types of a packed model: a part has 4 bits if any of its matrices has.
    pub(super) fn of(model: &PackedModel) -> Self {
        let mut found = Self::default();
        for matrix in model.tensors().filter_map(|(name, ..)| name.strip_suffix(".int4")) {
            if let Some(part) = found.part(matrix) {
                *part = WeightType::Int4;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_matrix_belongs_to_one_part_and_the_convolutions_to_none() {
        let mixed = WeightTypes { encoder: WeightType::Int8, decoder: WeightType::Int4, embedding: WeightType::Int8 };
        for (matrix, expected) in [
            ("encoder.conv1", WeightType::Int8),
            ("encoder.layers.3.fc1", WeightType::Int8),
            ("decoder.layers.0.encoder_attn.k_proj+v_proj", WeightType::Int8),
            ("decoder.layers.0.encoder_attn.q_proj", WeightType::Int4),
            ("decoder.layers.0.self_attn.q_proj+k_proj+v_proj", WeightType::Int4),
            ("decoder.embed_tokens", WeightType::Int8),
        ] {
            assert_eq!(mixed.of_matrix(matrix), expected, "{matrix}");
        }
        let four = WeightTypes { encoder: WeightType::Int4, ..WeightType::Int4.into() };
        assert_eq!(four.of_matrix("encoder.layers.3.fc1"), WeightType::Int4);
        assert_eq!(four.of_matrix("encoder.conv2"), WeightType::Int8);
    }

    #[test]
    fn the_usual_types_have_short_names() {
        let named = |types: WeightTypes| types.to_string();
        assert_eq!(named(WeightType::Int8.into()), "int8");
        assert_eq!(named(WeightType::Int4.into()), "int4");
        let mixed = WeightTypes { embedding: WeightType::Int8, ..WeightType::Int4.into() };
        assert_eq!(named(mixed), "encoder int8, decoder int4, embedding int8");
    }
}
