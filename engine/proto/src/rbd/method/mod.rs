//! Calls of classes' methods: the name, the encoded input, and how the output is read.

pub mod directory;
pub mod header;
pub mod object_maps;
pub mod pool;

use crate::codec::{DecodeError, Decoder, Encoder};
use std::marker::PhantomData;

/// A call of a class's method whose output is a `T`.
#[derive(Clone, Debug)]
pub struct Method<T> {
    class: &'static str,
    name: &'static str,
    writes: bool,
    input: Vec<u8>,
    output: fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
    _output: PhantomData<T>,
}

impl<T> Method<T> {
    /// A method that only reads.
    pub(super) fn read(
        class: &'static str,
        name: &'static str,
        input: impl FnOnce(&mut Encoder<'_>),
        output: fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
    ) -> Method<T> {
        let input = Encoder::to_vec(input);
        Method { class, name, writes: false, input, output, _output: PhantomData }
    }

    /// The class.
    pub fn class(&self) -> &'static str {
        self.class
    }

    /// The method's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it may change the object.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// What it gets.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Reads its output. What newer classes add at the end is skipped.
    pub fn decode(&self, output: &[u8]) -> Result<T, DecodeError> {
        (self.output)(&mut Decoder::new(self.name, output))
    }
}

impl Method<()> {
    /// A method that may change the object, and returns nothing.
    pub(super) fn write(
        class: &'static str,
        name: &'static str,
        input: impl FnOnce(&mut Encoder<'_>),
    ) -> Method<()> {
        Method { writes: true, ..Method::read(class, name, input, |_| Ok(())) }
    }
}

/// A method of the class `rbd` that only reads.
fn read<T>(
    name: &'static str,
    input: impl FnOnce(&mut Encoder<'_>),
    output: fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Method<T> {
    Method::read("rbd", name, input, output)
}

/// A method of the class `rbd` that changes.
fn write(name: &'static str, input: impl FnOnce(&mut Encoder<'_>)) -> Method<()> {
    Method::write("rbd", name, input)
}

/// No input.
fn nothing(_: &mut Encoder<'_>) {}
