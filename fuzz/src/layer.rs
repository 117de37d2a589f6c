//! The layers of an image: archives that follow each other, each after its length in two bytes. The sums of headers are
//! made right, because a fuzzer would spend its time on them.

use crate::image::{Layers, holds};

/// The most layers that are read of the bytes.
const LAYERS: usize = 4;

/// Walks through them.
pub fn run(bytes: &[u8]) -> bool {
    let layers = Layers(layers(bytes));
    let scanned = layers.scan();
    match (&scanned, layers.scan()) {
        (Ok(one), Ok(two)) => {
            assert_eq!(format!("{one:?}"), format!("{two:?}"), "the same image is the same twice")
        }
        (Err(one), Err(two)) => assert_eq!(one.to_string(), two.to_string()),
        (one, two) => panic!("the same image is {one:?} and {two:?}"),
    }
    let Ok(inventory) = scanned else { return false };
    holds(&inventory, layers.0.len());
    // What an empty layer on top changes is the number of layers.
    let mut more = Layers(layers.0.clone());
    more.0.push(vec![0; 1024]);
    let again = more.scan().expect("an empty layer breaks nothing");
    assert_eq!(format!("{:?}", again.components), format!("{:?}", inventory.components));
    !inventory.components.is_empty()
}

fn layers(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut layers = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (layer, after) = rest.split_at(length);
        layers.push(summed(layer.to_vec()));
        bytes = after;
        if layers.len() == LAYERS {
            break;
        }
    }
    layers
}

/// Sums are put where a header may be: at every block that has the mark of one.
fn summed(mut layer: Vec<u8>) -> Vec<u8> {
    for block in layer.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    layer
}
