//! The constants of an ONNX file, so that a test can run our layers on exactly the weights of a reference network.
//!
//! Protocol buffers need no schema to be walked; the field numbers are those of `onnx.proto3`.

use std::collections::BTreeMap;

/// A constant of type float: its dimensions and its values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxConstant {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<f32>,
}

/// All float constants of the graph and of the graphs inside it, by name.
///
/// # Panics
/// When the file is not the protocol buffer that ONNX describes: only goldens' own inputs are read.
#[must_use]
pub fn onnx_constants(file: &[u8]) -> BTreeMap<String, OnnxConstant> {
    let mut constants = BTreeMap::new();
    for (number, field) in fields(file) {
        if number == 7 {
            graph(field.bytes(), &mut constants);
        }
    }
    constants
}

fn graph(message: &[u8], constants: &mut BTreeMap<String, OnnxConstant>) {
    for (number, field) in fields(message) {
        match number {
            1 => node(field.bytes(), constants),
            5 => tensor(field.bytes(), None, constants),
            _ => {}
        }
    }
}

fn node(message: &[u8], constants: &mut BTreeMap<String, OnnxConstant>) {
    let output = fields(message).find(|(number, _)| *number == 2).map(|(_, field)| text(field.bytes()));
    for (number, attribute) in fields(message) {
        if number != 5 {
            continue;
        }
        for (number, field) in fields(attribute.bytes()) {
            match number {
                5 => tensor(field.bytes(), output.as_deref(), constants),
                6 => graph(field.bytes(), constants),
                _ => {}
            }
        }
    }
}

/// `name` stands in for tensors that have none of their own.
fn tensor(message: &[u8], name: Option<&str>, constants: &mut BTreeMap<String, OnnxConstant>) {
    const FLOAT: u64 = 1;
    let (mut shape, mut values, mut kind, mut own) = (Vec::new(), Vec::new(), 0, None);
    for (number, field) in fields(message) {
        match (number, field) {
            (1, Field::Number(dimension)) => shape.push(dimension as usize),
            (2, Field::Number(value)) => kind = value,
            (8, Field::Bytes(bytes)) => own = Some(text(bytes)),
            (9, Field::Bytes(raw)) => {
                values = raw.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
            }
            _ => {}
        }
    }
    if let (FLOAT, Some(name)) = (kind, name.map(str::to_owned).or(own)) {
        constants.insert(name, OnnxConstant { shape, values });
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(number) => panic!("number {number} where a message belongs"),
        }
    }
}

fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        if message.is_empty() {
            return None;
        }
        let key = varint(&mut message);
        let length = match key & 7 {
            0 => return Some((key >> 3, Field::Number(varint(&mut message)))),
            1 => 8,
            2 => varint(&mut message) as usize,
            5 => 4,
            other => panic!("wire type {other} is not used by ONNX"),
        };
        let (bytes, rest) = message.split_at(length);
        message = rest;
        Some((key >> 3, Field::Bytes(bytes)))
    })
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first().expect("a number that ends");
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_of_inner_graphs_are_found() {
        let message = |number: u8, body: &[u8]| [&[number << 3 | 2, body.len() as u8], body].concat();
        // dims [2], data_type FLOAT, raw_data of 1.0 and -1.0
        let tensor = [&[8, 2, 16, 1], message(9, &[0, 0, 128, 63, 0, 0, 128, 191]).as_slice()].concat();
        let constant = message(1, &[message(2, b"w"), message(5, &message(5, &tensor))].concat());
        let outer = message(1, &message(5, &message(6, &constant)));
        let file = [vec![8, 7], message(7, &outer)].concat();
        let expected = OnnxConstant { shape: vec![2], values: vec![1.0, -1.0] };
        assert_eq!(onnx_constants(&file), BTreeMap::from([("w".to_owned(), expected)]));
    }
}
