//! Layers made at random, of few names that meet: packages, folders, links, whiteouts.

use std::fs;
use std::path::Path;

use super::Layer;

/// Numbers that look random (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    /// The same number makes the same numbers.
    fn of_seed(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, count: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % count
    }

    fn of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[usize::try_from(self.below(texts.len() as u64)).unwrap()]
    }

    /// A folder, of few and up to three deep: so that they meet.
    fn folder(&mut self) -> String {
        let depth = 1 + self.below(3);
        (0..depth).map(|_| self.of(&["a", "b", "c"])).collect::<Vec<_>>().join("/")
    }
}

/// A layer of some entries, and what they are. `made` is where packages were made so far.
fn layer(random: &mut Random, number: u64, made: &mut Vec<String>) -> (Layer, Vec<String>) {
    let (mut layer, mut said) = (Layer::new(), Vec::new());
    for _ in 0..=random.below(5) {
        let folder = random.folder();
        let package = format!("{folder}/p{}.dist-info/METADATA", random.below(2));
        let what = random.below(9);
        said.push(format!("{what} {folder} {package}"));
        layer = match what {
            0..=2 => {
                made.push(package.clone());
                layer.file(&package, format!("Name: n\nVersion: {number}\n\n"))
            }
            3 => layer.folder(&format!("{folder}/")),
            4 => {
                let to = format!("{}{}", random.of(&["/", "", "../"]), random.folder());
                said.push(format!("  -> {to}"));
                layer.symlink(&folder, &to)
            }
            5 => layer.whiteout(&folder),
            6 => layer.whiteout(&package),
            7 => layer.opaque(&folder),
            _ => {
                let Some(to) = made.get(usize::try_from(random.below(8)).unwrap()) else { continue };
                said.push(format!("  = {to}"));
                layer.hard_link(&package, to)
            }
        };
    }
    (layer, said)
}

/// Three layers, the lowest first, and what their entries are.
pub(crate) fn layers(seed: u64) -> (Vec<Layer>, Vec<Vec<String>>) {
    let (mut random, mut made) = (Random::of_seed(seed), Vec::new());
    (0..3).map(|number| layer(&mut random, number, &mut made)).unzip()
}

/// The packages below a folder, with their versions.
pub(crate) fn packages(root: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path.ends_with("METADATA") {
                let text = fs::read_to_string(&path).unwrap();
                let version = text.lines().nth(1).unwrap().strip_prefix("Version: ").unwrap().to_owned();
                found.push(format!("/{} {version}", path.strip_prefix(root).unwrap().display()));
            }
        }
    }
    found.sort();
    found
}
