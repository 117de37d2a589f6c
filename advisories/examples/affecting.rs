//! Looks packages up in a database: what `bench/advisories/accuracy` compares with the truth.
//!
//! `affecting DATABASE < PACKAGES > ANSWERS`, or `affecting build FOLDER DATABASE`. A line of PACKAGES is ECOSYSTEM,
//! NAME and VERSION with tabs between; that of the answer adds a group of names a weakness, and `?` where something
//! couldn't be compared. `affecting whole DATABASE` prints all that is answered. The time that matching took is on stderr.

use std::error::Error;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use advisories::{Answer, Database, Ecosystem, Package, Texts};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["build", folder, database] => {
            let began = Instant::now();
            let info = advisories::build(Path::new(folder), Path::new(database))?;
            eprintln!(
                "{} advisories, {} bytes, built in {:?}",
                info.advisories,
                info.length,
                began.elapsed()
            );
            Ok(())
        }
        [database] => look_up(Path::new(database), |answer| groups(answer).join(" ")),
        ["whole", database] => look_up(Path::new(database), |answer| format!("{answer:?}")),
        _ => Err("expected DATABASE, whole DATABASE, or build FOLDER DATABASE".into()),
    }
}

fn look_up(database: &Path, shown: impl Fn(&Answer<'_>) -> String) -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    let packages = text.lines().map(package).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    let database = Database::open(database)?;
    let opened = began.elapsed();
    let began = Instant::now();
    let texts = Texts::new();
    let answers =
        packages.iter().map(|package| database.affecting(package, &texts)).collect::<Result<Vec<_>, _>>()?;
    let matched = began.elapsed();
    eprintln!("opened in {opened:?}; {} packages looked up in {matched:?}", packages.len());
    let mut out = BufWriter::new(std::io::stdout().lock());
    for (line, answer) in text.lines().zip(&answers) {
        writeln!(out, "{line}\t{}", shown(answer))?;
    }
    Ok(out.flush()?)
}

fn package(line: &str) -> Result<Package, String> {
    match line.split('\t').collect::<Vec<_>>().as_slice() {
        [ecosystem, name, version] => Ok(Package {
            ecosystem: Ecosystem::parse(ecosystem),
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            binary: None,
            architecture: None,
            module: None,
        }),
        _ => Err(format!("expected ECOSYSTEM, NAME and VERSION with tabs between, got {line:?}")),
    }
}

/// The names of each weakness, and `?` where there may be more.
fn groups(answer: &Answer<'_>) -> Vec<String> {
    let named = answer.matches.iter().map(|one| {
        let names: Vec<&str> = std::iter::once(one.id).chain(one.aliases.iter().copied()).collect();
        names.join(",")
    });
    named.chain((!answer.unknown.is_empty()).then(|| "?".to_owned())).collect()
}
