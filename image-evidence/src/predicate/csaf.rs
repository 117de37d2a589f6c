//! CSAF 2.0 documents of the profile VEX (`csaf_vex`), as the statements that OpenVEX makes.
//!
//! A product is what can be told from outside: an image by its digest, a package by its package URL. A name, a CPE or a
//! serial number names nothing here, and what names nothing stays a product that is nothing: dropped, a statement about
//! one part would become one about all of them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use image_signatures::few;
use serde::Deserialize;

use super::verdicts::{Vex, VexFormat, VexProduct, VexStatement};
use super::{expect_few, read};
use crate::limits::{ENTRIES_MAX, STATED_MAX};
use crate::refusal::Refusal;

const WHAT: &str = "a CSAF document";

/// Why a product isn't affected (CSAF 2.0, 3.2.3.5, `label`).
const LABELS: [&str; 5] = [
    "component_not_present",
    "inline_mitigations_already_exist",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_not_present",
];

/// What a name takes besides its letters.
const NAME_SIZE: usize = 64;

/// That one product is a part of the other (CSAF 2.0, 3.2.2.4). What is only beside it is not.
const PART_OF: [&str; 3] = ["default_component_of", "optional_component_of", "installed_on"];

#[derive(Deserialize)]
struct Wire {
    document: Document,
    #[serde(default)]
    product_tree: Tree,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Document {
    category: String,
    csaf_version: String,
    publisher: Publisher,
    tracking: Tracking,
}

#[derive(Deserialize)]
struct Publisher {
    name: String,
}

#[derive(Deserialize)]
struct Tracking {
    current_release_date: String,
    status: String,
}

#[derive(Default, Deserialize)]
struct Tree {
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    branches: Vec<Branch>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    full_product_names: Vec<Product>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    relationships: Vec<Relationship>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    product_groups: Vec<Group>,
}

/// How deep they lie in each other is bounded by the reader of JSON.
#[derive(Deserialize)]
struct Branch {
    product: Option<Product>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    branches: Vec<Branch>,
}

#[derive(Deserialize)]
struct Product {
    product_id: String,
    product_identification_helper: Option<Helper>,
}

#[derive(Deserialize)]
struct Helper {
    purl: Option<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    hashes: Vec<Hashes>,
}

#[derive(Deserialize)]
struct Hashes {
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    file_hashes: Vec<FileHash>,
}

#[derive(Deserialize)]
struct FileHash {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
struct Relationship {
    category: String,
    full_product_name: Product,
    product_reference: String,
    relates_to_product_reference: String,
}

#[derive(Deserialize)]
struct Group {
    group_id: String,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Vulnerability {
    cve: Option<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    ids: Vec<Id>,
    #[serde(default)]
    product_status: Status,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    flags: Vec<Flag>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    threats: Vec<Threat>,
}

#[derive(Deserialize)]
struct Id {
    text: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    fixed: Vec<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    first_fixed: Vec<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    known_affected: Vec<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    first_affected: Vec<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    last_affected: Vec<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    known_not_affected: Vec<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    under_investigation: Vec<String>,
}

#[derive(Deserialize)]
struct Flag {
    label: String,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    product_ids: Vec<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    group_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Threat {
    category: String,
    details: String,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    product_ids: Vec<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    group_ids: Vec<String>,
}

/// Reads a document of the profile.
pub(super) fn vex(text: &str) -> Result<Vex, Refusal> {
    let wire: Wire = read(WHAT, text)?;
    let document = &wire.document;
    expect("a CSAF document of category", "csaf_vex", &document.category)?;
    expect("a CSAF document of version", "2.0", &document.csaf_version)?;
    // What is a draft isn't said yet.
    if document.tracking.status != "final" {
        expect("a CSAF document with status", "interim", &document.tracking.status)?;
    }
    let date = document.tracking.current_release_date.clone();
    let time = DateTime::parse_from_rfc3339(&date).map_err(|why| Refusal::malformed(WHAT, why))?.to_utc();
    expect_few("a list of vulnerabilities", wire.vulnerabilities.len())?;
    let mut budget = Budget { left: STATED_MAX };
    let products = products(&wire.product_tree, &mut budget)?;
    let groups = &wire.product_tree.product_groups;
    let groups: HashMap<&str, &[String]> =
        groups.iter().map(|group| (group.group_id.as_str(), group.product_ids.as_slice())).collect();
    let mut stated = Stated { products: &products, groups: &groups, time, budget };
    let mut statements = Vec::new();
    for vulnerability in &wire.vulnerabilities {
        stated.of(vulnerability, &mut statements)?;
    }
    let author = document.publisher.name.clone();
    Ok(Vex { format: VexFormat::Csaf, author, timestamp: Some(date), statements })
}

fn expect(what: &'static str, expected: &str, got: &str) -> Result<(), Refusal> {
    match got == expected {
        true => Ok(()),
        false => Err(Refusal::Kind { what, expected: expected.to_owned(), got: got.to_owned() }),
    }
}

/// Every product by its id. One id for two products would be two answers to one question.
fn products<'t>(tree: &'t Tree, budget: &mut Budget) -> Result<HashMap<&'t str, VexProduct>, Refusal> {
    let mut plain: Vec<&Product> = tree.full_product_names.iter().collect();
    let mut branches: Vec<&Branch> = tree.branches.iter().collect();
    while let Some(branch) = branches.pop() {
        plain.extend(&branch.product);
        branches.extend(&branch.branches);
        expect_few("a list of branches", branches.len())?;
        expect_few("a list of products", plain.len())?;
    }
    expect_few("a list of relationships", tree.relationships.len())?;
    let mut all = HashMap::new();
    let mut add = |all: &mut HashMap<_, _>, id, product: VexProduct| {
        budget.spend(size(&product))?;
        match all.insert(id, product) {
            None => Ok(()),
            Some(_) => Err(Refusal::malformed(WHAT, format!("two products have the id {id:?}"))),
        }
    };
    for product in plain {
        add(&mut all, product.product_id.as_str(), product.named())?;
    }
    // Of plain products only: what is part of a part is told by none of its own names.
    let mut related = HashMap::new();
    for one in &tree.relationships {
        let id = one.full_product_name.product_id.as_str();
        add(&mut related, id, one.product(&all))?;
    }
    for (id, product) in related {
        add(&mut all, id, product)?;
    }
    Ok(all)
}

/// Roughly what a product takes in memory.
fn size(product: &VexProduct) -> usize {
    let names = product
        .names
        .iter()
        .fold(0_usize, |sum, name| sum.saturating_add(NAME_SIZE).saturating_add(name.len()));
    product.parts.iter().fold(names.saturating_add(NAME_SIZE), |sum, part| sum.saturating_add(size(part)))
}

/// Products are named again and again, and a short document could name a long one so.
struct Budget {
    left: usize,
}

impl Budget {
    fn spend(&mut self, bytes: usize) -> Result<(), Refusal> {
        let most = u64::try_from(STATED_MAX).unwrap_or(u64::MAX);
        let got = STATED_MAX.saturating_sub(self.left).saturating_add(bytes);
        Refusal::expect_size("a list of what all statements name", most, got)?;
        self.left = self.left.saturating_sub(bytes);
        Ok(())
    }
}

impl Product {
    fn named(&self) -> VexProduct {
        let Some(helper) = &self.product_identification_helper else { return VexProduct::default() };
        let hashes = helper.hashes.iter().flat_map(|hashes| &hashes.file_hashes);
        let sha256 = hashes.filter(|hash| hash.algorithm.eq_ignore_ascii_case("sha256"));
        let digests = sha256.map(|hash| format!("sha256:{}", hash.value.to_ascii_lowercase()));
        VexProduct { names: helper.purl.iter().cloned().chain(digests).collect(), ..VexProduct::default() }
    }
}

impl Relationship {
    /// The part within the whole; nothing, where one of them can't be told, or it isn't within.
    fn product(&self, plain: &HashMap<&str, VexProduct>) -> VexProduct {
        let named = |id: &str| plain.get(id).filter(|product| !product.names.is_empty());
        let is_part = PART_OF.contains(&self.category.as_str());
        match (named(&self.product_reference), named(&self.relates_to_product_reference)) {
            (Some(part), Some(whole)) if is_part => VexProduct { parts: vec![part.clone()], ..whole.clone() },
            _ => VexProduct::default(),
        }
    }
}

/// What is read of vulnerabilities.
struct Stated<'a> {
    products: &'a HashMap<&'a str, VexProduct>,
    groups: &'a HashMap<&'a str, &'a [String]>,
    time: DateTime<Utc>,
    budget: Budget,
}

impl Stated<'_> {
    /// A statement for each status and reason. Several statuses of one product are several statements of the same time, of
    /// which the one that is worse news counts.
    fn of(&mut self, one: &Vulnerability, statements: &mut Vec<VexStatement>) -> Result<(), Refusal> {
        let mut names = one.cve.iter().cloned().chain(one.ids.iter().map(|id| id.text.clone()));
        let vulnerability = names.next();
        let vulnerability =
            vulnerability.ok_or_else(|| Refusal::malformed(WHAT, "a vulnerability without a name"))?;
        let aliases: Vec<String> = names.collect();
        for count in [one.ids.len(), one.flags.len(), one.threats.len()] {
            expect_few("a list of names or reasons", count)?;
        }
        let reasons = self.reasons(one)?;
        let status = &one.product_status;
        let mut told: BTreeMap<(&str, Option<&str>), Vec<VexProduct>> = BTreeMap::new();
        for (word, ids) in [
            ("fixed", &status.fixed),
            ("fixed", &status.first_fixed),
            ("affected", &status.known_affected),
            ("affected", &status.first_affected),
            ("affected", &status.last_affected),
            ("not_affected", &status.known_not_affected),
            ("under_investigation", &status.under_investigation),
        ] {
            expect_few("a list of products with a status", ids.len())?;
            for id in ids {
                let reason = reasons.get(id.as_str()).copied().filter(|_| word == "not_affected");
                let product = self.products.get(id.as_str());
                self.budget.spend(product.map_or(NAME_SIZE, size))?;
                told.entry((word, reason)).or_default().push(product.cloned().unwrap_or_default());
            }
        }
        let named = VexProduct { names: aliases.clone(), ..VexProduct::default() };
        for ((status, reason), products) in told {
            let own = vulnerability.len().saturating_add(reason.map_or(0, str::len));
            self.budget.spend(size(&named).saturating_add(own))?;
            statements.push(VexStatement {
                vulnerability: vulnerability.clone(),
                aliases: aliases.clone(),
                status: status.to_owned(),
                justification: reason.map(str::to_owned),
                time: Some(self.time),
                products,
            });
        }
        Ok(())
    }

    /// Why a product isn't affected: a flag, or else what its impact would be. One about no product is about none.
    fn reasons<'v>(&mut self, one: &'v Vulnerability) -> Result<HashMap<&'v str, &'v str>, Refusal>
    where
        Self: 'v,
    {
        let flags = one.flags.iter().filter(|flag| LABELS.contains(&flag.label.as_str()));
        let flags = flags.map(|flag| (flag.label.as_str(), &flag.product_ids, &flag.group_ids));
        let impacts = one.threats.iter().filter(|threat| threat.category == "impact");
        let impacts = impacts.map(|threat| (threat.details.trim(), &threat.product_ids, &threat.group_ids));
        let mut reasons = HashMap::new();
        for (reason, ids, groups) in flags.chain(impacts).filter(|(reason, ..)| !reason.is_empty()) {
            for id in ids {
                reasons.entry(id.as_str()).or_insert(reason);
            }
            for group in groups {
                let ids = self.groups.get(group.as_str()).copied().unwrap_or_default();
                self.budget.spend(ids.len().saturating_mul(NAME_SIZE))?;
                for id in ids {
                    reasons.entry(id.as_str()).or_insert(reason);
                }
            }
        }
        Ok(reasons)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DIGEST: &str = "1111111111111111111111111111111111111111111111111111111111111111";

    fn document(tree: Value, vulnerabilities: Value) -> Value {
        json!({
            "document": {
                "category": "csaf_vex", "csaf_version": "2.0", "title": "t",
                "publisher": { "category": "vendor", "name": "Acme", "namespace": "https://acme.example" },
                "tracking": { "id": "A-1", "status": "final", "version": "1", "current_release_date": "2026-01-02T00:00:00Z",
                    "initial_release_date": "2026-01-02T00:00:00Z", "revision_history": [] },
            },
            "product_tree": tree, "vulnerabilities": vulnerabilities,
        })
    }

    fn tree() -> Value {
        json!({
            "full_product_names": [
                { "name": "image", "product_id": "IMAGE", "product_identification_helper":
                    { "purl": format!("pkg:oci/web@sha256%3A{DIGEST}") } },
                { "name": "nameless", "product_id": "NAMELESS" },
            ],
            "branches": [{ "category": "vendor", "name": "Acme", "branches": [
                { "category": "product_version", "name": "b", "product": { "name": "bash", "product_id": "BASH",
                    "product_identification_helper": { "purl": "pkg:deb/debian/bash" } } },
                { "category": "product_version", "name": "h", "product": { "name": "hashed", "product_id": "HASHED",
                    "product_identification_helper": { "hashes": [{ "filename": "m", "file_hashes": [
                        { "algorithm": "sha512", "value": "00" }, { "algorithm": "sha256", "value": DIGEST.to_uppercase() }] }] } } },
            ] }],
            "relationships": [
                relationship("BASH-IN-IMAGE", "default_component_of", "BASH", "IMAGE"),
                relationship("BASH-BESIDE", "external_component_of", "BASH", "IMAGE"),
                relationship("NAMELESS-IN-IMAGE", "default_component_of", "NAMELESS", "IMAGE"),
                relationship("DEEP", "default_component_of", "BASH", "BASH-IN-IMAGE"),
            ],
            "product_groups": [{ "group_id": "G", "product_ids": ["BASH-IN-IMAGE"] }],
        })
    }

    fn relationship(id: &str, category: &str, part: &str, whole: &str) -> Value {
        json!({ "category": category, "product_reference": part, "relates_to_product_reference": whole,
            "full_product_name": { "name": id, "product_id": id } })
    }

    fn said(vulnerability: Value) -> Vec<VexStatement> {
        vex(&document(tree(), json!([vulnerability])).to_string()).unwrap().statements
    }

    #[test]
    fn a_product_is_what_can_be_told_from_outside() {
        let image = format!("pkg:oci/web@sha256%3A{DIGEST}");
        let digest = format!("sha256:{DIGEST}");
        for (id, names, parts) in [
            ("IMAGE", vec![image.as_str()], vec![]),
            ("HASHED", vec![digest.as_str()], vec![]),
            ("BASH", vec!["pkg:deb/debian/bash"], vec![]),
            ("BASH-IN-IMAGE", vec![image.as_str()], vec!["pkg:deb/debian/bash"]),
            // These name nothing, and never all.
            ("NAMELESS", vec![], vec![]),
            ("BASH-BESIDE", vec![], vec![]),
            ("NAMELESS-IN-IMAGE", vec![], vec![]),
            ("DEEP", vec![], vec![]),
            ("ABSENT", vec![], vec![]),
        ] {
            let statements = said(json!({ "cve": "CVE-1", "product_status": { "fixed": [id] } }));
            let [one] = statements.as_slice() else { panic!("{id}: {statements:?}") };
            let [product] = one.products.as_slice() else { panic!("{id}: {one:?}") };
            assert_eq!(product.names, names, "{id}");
            let got: Vec<&str> =
                product.parts.iter().flat_map(|part| &part.names).map(String::as_str).collect();
            assert_eq!(got, parts, "{id}");
        }
    }

    #[test]
    fn who_isnt_affected_says_why_of_that_product() {
        let flag = |label: &str, ids: Value, groups: Value| json!([{ "label": label, "product_ids": ids, "group_ids": groups }]);
        let threat = |category: &str| json!([{ "category": category, "details": "no shell runs", "product_ids": ["BASH-IN-IMAGE"] }]);
        let known = "vulnerable_code_not_present";
        for (flags, threats, reason) in [
            (flag(known, json!(["BASH-IN-IMAGE"]), json!([])), json!([]), Some(known)),
            (flag(known, json!([]), json!(["G"])), json!([]), Some(known)),
            (json!([]), threat("impact"), Some("no shell runs")),
            (flag(known, json!(["BASH-IN-IMAGE"]), json!([])), threat("impact"), Some(known)),
            // Of another product, of none, of another kind, or no reason that there is.
            (flag(known, json!(["IMAGE"]), json!([])), json!([]), None),
            (flag(known, json!([]), json!([])), json!([]), None),
            (flag(known, json!([]), json!(["H"])), json!([]), None),
            (flag("because", json!(["BASH-IN-IMAGE"]), json!([])), json!([]), None),
            (json!([]), threat("exploit_status"), None),
            (json!([]), json!([]), None),
        ] {
            let statements = said(json!({
                "cve": "CVE-1", "ids": [{ "system_name": "s", "text": "BUG-1" }], "flags": flags, "threats": threats,
                "product_status": { "known_not_affected": ["BASH-IN-IMAGE"] },
            }));
            let [one] = statements.as_slice() else { panic!("{statements:?}") };
            assert_eq!((one.status.as_str(), one.justification.as_deref()), ("not_affected", reason));
            assert_eq!(
                (one.vulnerability.as_str(), one.aliases.as_slice()),
                ("CVE-1", &["BUG-1".to_owned()][..])
            );
            assert_eq!(one.time.unwrap().to_rfc3339(), "2026-01-02T00:00:00+00:00");
        }
    }

    #[test]
    fn every_status_is_said_and_a_reason_belongs_to_not_affected_only() {
        let statements = said(json!({
            "cve": "CVE-1",
            "flags": [{ "label": "vulnerable_code_not_present", "product_ids": ["IMAGE", "BASH"] }],
            "product_status": { "fixed": ["IMAGE"], "first_fixed": ["BASH"], "known_affected": ["HASHED"],
                "last_affected": ["BASH"], "known_not_affected": ["IMAGE"], "under_investigation": ["BASH"],
                "recommended": ["IMAGE"] },
        }));
        let told: Vec<_> = statements
            .iter()
            .map(|one| (one.status.as_str(), one.justification.is_some(), one.products.len()))
            .collect();
        assert_eq!(
            told,
            [
                ("affected", false, 2),
                ("fixed", false, 2),
                ("not_affected", true, 1),
                ("under_investigation", false, 1)
            ]
        );
    }

    #[test]
    fn what_is_no_such_document_is_refused_with_what_came() {
        let changed = |pointer: &str, value: Value| {
            let mut document = document(tree(), json!([]));
            *document.pointer_mut(pointer).unwrap() = value;
            vex(&document.to_string()).unwrap_err().to_string()
        };
        for (pointer, value, why) in [
            (
                "/document/category",
                json!("csaf_base"),
                "expected a CSAF document of category csaf_vex, got csaf_base",
            ),
            ("/document/csaf_version", json!("1.2"), "expected a CSAF document of version 2.0, got 1.2"),
            (
                "/document/tracking/status",
                json!("draft"),
                "expected a CSAF document with status interim, got draft",
            ),
            (
                "/document/tracking/current_release_date",
                json!("today"),
                "expected a CSAF document, got something else",
            ),
            (
                "/product_tree/full_product_names/1/product_id",
                json!("BASH"),
                "two products have the id \"BASH\"",
            ),
            ("/vulnerabilities", json!([{}]), "a vulnerability without a name"),
            (
                "/vulnerabilities",
                json!(vec![json!({}); ENTRIES_MAX + 1]),
                "expected a list of vulnerabilities of at most",
            ),
        ] {
            let got = changed(pointer, value);
            assert!(got.contains(why), "{pointer}: {got}");
        }
        assert!(vex("{}").is_err() && vex("[]").is_err());
    }

    #[test]
    fn what_a_document_names_together_is_bounded() {
        let named =
            |times: usize| json!({ "cve": "CVE-1", "product_status": { "fixed": vec!["IMAGE"; times] } });
        assert!(vex(&document(tree(), json!([named(1000)])).to_string()).is_ok());
        // A name of a megabyte, a thousand times; as many reasons as products; names of the weakness for each reason.
        let mut long = tree();
        long["full_product_names"][0]["product_identification_helper"]["purl"] = json!("x".repeat(1 << 20));
        let flags: Vec<Value> = (0..2000)
            .map(|at| json!({ "category": "impact", "details": format!("because {at}"), "product_ids": [format!("P{at}")] }))
            .collect();
        let ids: Vec<String> = (0..2000).map(|at| format!("P{at}")).collect();
        let aliases: Vec<Value> = (0..2000).map(|at| json!({ "text": format!("BUG-{at}") })).collect();
        let reasoned =
            json!({ "ids": aliases, "threats": flags, "product_status": { "known_not_affected": ids } });
        for (tree, vulnerability) in [(long, named(1000)), (tree(), reasoned)] {
            let why = vex(&document(tree, json!([vulnerability])).to_string()).unwrap_err().to_string();
            assert!(
                why.starts_with("expected a list of what all statements name of at most 67108864"),
                "{why}"
            );
        }
        let deep = format!("{{\"document\":{}1{}}}", "{\"a\":".repeat(5000), "}".repeat(5000));
        assert!(vex(&deep).is_err());
    }
}
