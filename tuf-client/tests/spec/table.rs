//! The manual's table of steps names tests that there are.

use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_table_of_steps_names_is_there() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(workspace.join("docs/src/conformance.md")).unwrap();
    let mut sources = String::new();
    for folder in
        ["tuf-client/tests", "tuf-client/tests/spec", "tuf-core/tests", "tuf-core/src", "tuf-client/src"]
    {
        for path in crate::support::listed(&workspace.join(folder)) {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    let quoted =
        page.lines().filter(|line| line.starts_with('|')).flat_map(|line| line.split('`').skip(1).step_by(2));
    let names: Vec<_> = quoted
        .filter(|word| {
            word.len() > 15 && word.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        })
        .collect();
    assert!(names.len() > 60, "a table of tests, got {}", names.len());
    let lost: Vec<_> = names.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(lost.is_empty(), "no such test: {lost:?}");
}
