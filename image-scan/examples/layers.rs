//! What a scan of an image is measured against: `layers hash LAYOUT TAG` uncompresses every layer and compares its
//! digest and its diff id, and nothing else; `layers inventory LAYOUT TAG` takes the inventory besides.
//!
//! `bench/scan.py` runs both. The layout is believed to be what it says: nothing is verified but the layers.

use std::error::Error;
use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use image_scan::{Inventory, Subject};
use oci_image::{Descriptor, Hasher, ImageSource, LayoutSource, Manifest, Selector, VerifyingReader};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [verb, layout, tag] = args.as_slice() else {
        return Err("expected hash or inventory, LAYOUT, TAG".into());
    };
    let source = LayoutSource::open(layout)?;
    let fetched = source.manifest(Selector::Tag(tag))?;
    let Manifest::Image(image) = Manifest::parse(&fetched.bytes, None)? else {
        return Err("an index".into());
    };
    let mut config = Vec::new();
    source.blob(&image.config)?.read_to_end(&mut config)?;
    match verb.as_str() {
        "hash" => hash(&source, &image.layers, &config),
        "inventory" => {
            let digest = Descriptor::of("", &fetched.bytes).digest;
            let subject = Subject { digest, config: &config, layers: &image.layers };
            let inventory = Inventory::take(&subject, &source, &mut |_| ())?;
            println!("{} components, {} unread", inventory.components.len(), inventory.unread.len());
            Ok(())
        }
        other => Err(format!("expected hash or inventory, got {other}").into()),
    }
}

fn hash(source: &LayoutSource, layers: &[Descriptor], config: &[u8]) -> Result<(), Box<dyn Error>> {
    let config: serde_json::Value = serde_json::from_slice(config)?;
    let mut buffer = vec![0; 64 * 1024];
    for (index, layer) in layers.iter().enumerate() {
        let blob = VerifyingReader::for_blob(source.blob(layer)?, layer);
        let mut blob = BufReader::with_capacity(64 * 1024, blob);
        let mut reader: Box<dyn Read> = match blob.fill_buf()? {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(blob)),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::with_buffer(blob)?),
            _ => Box::new(blob),
        };
        let mut hasher = Hasher::new();
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                count => hasher.update(buffer.get(..count).unwrap_or_default()),
            }
        }
        let got = hasher.finish().to_string();
        let expected =
            config.pointer(&format!("/rootfs/diff_ids/{index}")).and_then(serde_json::Value::as_str);
        if expected != Some(&got) {
            return Err(format!("layer {index}: expected {expected:?}, got {got}").into());
        }
    }
    println!("{} layers", layers.len());
    Ok(())
}
