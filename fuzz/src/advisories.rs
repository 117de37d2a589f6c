//! A file of advisories, of which the sums are not looked at, and whose head is given the right lengths: a fuzzer would
//! find nothing behind them. The first byte chooses what is asked. What is found is told the same way twice.

use advisories::{Coverage, Database, Ecosystem, Package, Texts};

/// What is asked of it.
const QUESTIONS: [(&str, &str, &str); 6] = [
    ("Debian:12", "bash", "5.2-1"),
    ("Alpine:v3.18", "musl", "1.2.4-r0"),
    ("AlmaLinux:9", "bash", "5.1.8-6.el9"),
    ("PyPI", "a", "1.0"),
    ("npm", "@s/a", "1.0.0"),
    ("Go", "example.com/a", "v1.0.0"),
];

/// Opens it and asks.
pub fn run(bytes: &[u8]) -> bool {
    let Some((which, file)) = bytes.split_first() else { return false };
    let Ok(database) = Database::from_bytes_without_sums(measured(file.to_vec())) else { return false };
    let _ = database.info();
    let (ecosystem, name, version) = QUESTIONS[usize::from(*which) % QUESTIONS.len()];
    let package = Package {
        ecosystem: Ecosystem::parse(ecosystem),
        name: name.into(),
        version: version.into(),
        binary: None,
        architecture: None,
        module: None,
    };
    let covered = database.coverage(&package.ecosystem) == Coverage::HasData;
    let texts = Texts::new();
    let answer = database.affecting(&package, &texts);
    assert_eq!(format!("{answer:?}"), format!("{:?}", database.affecting(&package, &texts)));
    let Ok(answer) = answer else { return false };
    assert!(answer.matches.iter().all(|one| !one.id.is_empty()), "{answer:?}");
    covered && !answer.matches.is_empty()
}

/// The file says how long it is, and that its index goes on to its end.
fn measured(mut file: Vec<u8>) -> Vec<u8> {
    let length = file.len() as u64;
    if let Some(head) = file.first_chunk_mut::<44>() {
        let index = u64::from_le_bytes(*head[16..].first_chunk().expect("eight bytes"));
        head[24..32].copy_from_slice(&length.saturating_sub(index).to_le_bytes());
        head[36..44].copy_from_slice(&length.to_le_bytes());
    }
    file
}
