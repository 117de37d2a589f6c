//! The page of a scan in a browser: it filters, fits a telephone, prints all, can be read in light and dark, and runs
//! nothing that isn't its own.
//!
//! Needs `chromium`; else it says SKIPPED, and fails where `HALLMARK_NO_SKIPS` is set. `HALLMARK_SCREENSHOTS` names a
//! folder that gets what it shows, to be looked at.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use test_repos::images::ImageBuilder;

/// What a stranger's image and advisories try.
const EVIL: &str =
    "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">";

/// Uses the page as a person does, and says in its title what there is to see.
const PERSON: &str = r##"<script>
const all = [...document.querySelectorAll(".advisory")], find = (id) => document.getElementById(id);
const shown = () => all.filter((one) => !one.hidden).length;
const set = (id, value) => {
  const field = find(id);
  if (field.type === "checkbox") field.checked = value; else field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return shown();
};
const tried = (id, value, before) => { const count = set(id, value); set(id, before); return count; };
const said = {
  all: shown(), search: tried("search", "cve-2026-3", ""), least: tried("least", "4", "0"), layer: tried("layer", "1", ""),
  fixable: tried("fixable", true, false), again: shown(),
};
set("search", "nothing is called so");
said.none = !find("none").hidden;
set("search", "");
said.wider = document.documentElement.scrollWidth - document.documentElement.clientWidth;
dispatchEvent(new Event("beforeprint"));
said.closed = document.querySelectorAll("#findings details:not([open])").length;
const rgb = (text) => (text.match(/[\d.]+/g) || []).map(Number);
const luminance = (colour) => {
  const [r, g, b] = colour.map((part) => part / 255).map((part) => part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const behind = (one) => {
  for (; one; one = one.parentElement) {
    const colour = rgb(getComputedStyle(one).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour.slice(0, 3);
  }
  return [255, 255, 255];
};
// WCAG 2.2, 1.4.3: at least 4.5 to 1.
said.faint = [...document.querySelectorAll("body *")].filter((one) => {
  const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
  return text && !["SCRIPT", "OPTION"].includes(one.tagName) && one.getClientRects().length > 0;
}).map((one) => {
  const [a, b] = [luminance(rgb(getComputedStyle(one).color)), luminance(behind(one))];
  return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), `${one.tagName}.${one.className}`];
}).filter(([contrast]) => contrast < 4.5).map(([contrast, what]) => `${what} ${contrast.toFixed(1)}`);
said.dark = matchMedia("(prefers-color-scheme: dark)").matches;
document.title = JSON.stringify(said);
</script>"##;

fn there_is_no_browser() -> bool {
    let there = Command::new("chromium").arg("--version").output().is_ok_and(|said| said.status.success());
    if !there {
        assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "chromium is not installed");
        eprintln!("SKIPPED: chromium is not installed");
    }
    !there
}

/// An image of two layers with findings of every severity, and names that try to be more than text.
fn page(folder: &Path) -> String {
    let deb = |name: &str| format!("Package: {name}\nStatus: install ok installed\nVersion: 1\n");
    let image = ImageBuilder::new()
        .file("etc/os-release", format!("ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='{EVIL}'\n").as_bytes())
        .file("var/lib/dpkg/status", ["a", "b", "c", EVIL].map(deb).join("\n").as_bytes())
        .layer()
        .file("x/d-1.0.dist-info/METADATA", b"Name: d\nVersion: 1.0\n\n")
        .file(&format!("{}/broken.jar", EVIL.replace('/', "|")), b"no archive")
        .build()
        .unwrap();
    image.write_layout(folder.join("image"), "1").unwrap();
    let vector = |word: &str| match word {
        "critical" => "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "high" => "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
        "medium" => "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:N",
        _ => "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N",
    };
    let of = |number: u32, ecosystem: &str, name: &str, word: &str, events: Value| {
        let mut advisory = json!({
            "id": format!("X-{number}"), "aliases": [format!("CVE-2026-{number}")], "summary": EVIL,
            "modified": "2026-01-01T00:00:00Z",
            "references": [{ "url": "javascript:alert(1)" }, { "url": format!("https://example.com/\"{EVIL}") }],
            "affected": [{
                "package": { "ecosystem": ecosystem, "name": name },
                "ranges": [{ "type": "ECOSYSTEM", "events": events }],
                "ecosystem_specific": { "urgency": if word == "negligible" { "unimportant" } else { "" } },
            }],
        });
        if !["negligible", "unknown"].contains(&word) {
            advisory["severity"] = json!([{ "type": "CVSS_V3", "score": vector(word) }]);
        }
        advisory
    };
    let (all, mended) = (json!([{ "introduced": "0" }]), json!([{ "introduced": "0" }, { "fixed": "2" }]));
    let debian = [
        of(1, "Debian:12", "a", "critical", mended.clone()),
        of(2, "Debian:12", "b", "high", all.clone()),
        of(3, "Debian:12", "b", "medium", all.clone()),
        of(4, "Debian:12", "c", "low", all.clone()),
        of(5, "Debian:12", EVIL, "unknown", all.clone()),
        of(6, "Debian:12", "c", "negligible", all),
    ];
    for (ecosystem, advisories) in [("Debian", &debian[..]), ("PyPI", &[of(7, "PyPI", "d", "high", mended)])]
    {
        fs::create_dir_all(folder.join("osv").join(ecosystem)).unwrap();
        let file = fs::File::create(folder.join("osv").join(ecosystem).join("all.zip")).unwrap();
        let mut zip = zip::ZipWriter::new(file);
        for (number, one) in advisories.iter().enumerate() {
            zip.start_file(format!("{number}.json"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(one.to_string().as_bytes()).unwrap();
        }
        zip.finish().unwrap();
    }
    advisories::build(&folder.join("osv"), &folder.join("advisories.db")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_verify"))
        .args([
            "scan",
            &format!("oci:{}:1", folder.join("image").display()),
            "--unverified",
            "--format",
            "html",
        ])
        .arg("--db")
        .arg(folder.join("advisories.db"))
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What the browser prints for a page, with these words besides.
fn browsed(folder: &Path, page: &str, words: &[&str]) -> String {
    let file = folder.join("page.html");
    fs::write(&file, page).unwrap();
    let output = Command::new("timeout")
        .args(["120", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(words)
        .arg(format!("file://{}", file.display()))
        .env("HOME", folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The title of a page after its scripts have run.
fn title(folder: &Path, page: &str, words: &[&str]) -> String {
    let document = browsed(folder, page, &[words, &["--dump-dom"]].concat());
    let (_, rest) = document.split_once("<title>").unwrap_or_else(|| panic!("no title: {document}"));
    rest.split_once("</title>").unwrap().0.to_owned()
}

/// The page without its policy, so that a test's script runs in it.
fn with_person(page: &str) -> String {
    let from = page.find("<meta http-equiv=\"Content-Security-Policy\"").unwrap();
    let to = from + page[from..].find(">\n").unwrap();
    [&page[..from], &page[to + 1..].replace("</body>", &format!("{PERSON}</body>"))].concat()
}

/// Dark by the browser's own setting.
const DARK: &str = "--blink-settings=preferredColorScheme=0";

#[test]
fn the_page_can_be_used_and_read_on_any_screen_in_light_and_dark() {
    if there_is_no_browser() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    for (screen, words) in [
        ("desktop", vec!["--window-size=1200,1600"]),
        ("phone", vec!["--window-size=390,2000"]),
        ("dark", vec!["--window-size=1200,1600", DARK]),
    ] {
        let said = title(folder.path(), &with_person(&page), &words);
        let said: Value = serde_json::from_str(&said.replace("&amp;", "&"))
            .unwrap_or_else(|error| panic!("{screen}: {error}: {said}"));
        let expected = json!({
            "all": 7, "search": 1, "least": 3, "layer": 1, "fixable": 2, "again": 7, "none": true,
            "wider": 0, "closed": 0, "faint": [], "dark": screen == "dark",
        });
        assert_eq!(said, expected, "{screen}");
        let picture = folder.path().join(format!("{screen}.png"));
        browsed(
            folder.path(),
            &page,
            &[&words[..], &[&format!("--screenshot={}", picture.display())]].concat(),
        );
        let bytes = fs::read(&picture).unwrap();
        // An empty page has some 5 KB.
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 20_000, "{screen}: {} bytes", bytes.len());
        if let Some(kept) = std::env::var_os("HALLMARK_SCREENSHOTS") {
            fs::copy(&picture, Path::new(&kept).join(format!("{screen}.png"))).unwrap();
        }
    }
}

#[test]
fn nothing_runs_in_the_page_but_its_own_script() {
    if there_is_no_browser() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    let own = |title: &str| title.starts_with("Scan of oci:");
    let read = title(folder.path(), &page, &[]);
    assert!(own(&read), "{read}");
    // Its own did: the filters are there.
    let document = browsed(folder.path(), &page, &["--dump-dom"]);
    assert!(document.contains("<form id=\"filters\">"), "the page's own script has run");
    // Even where a name were put in as it is, the page's policy lets nothing of it run.
    let broken = page.replace("<main>", &format!("<main>{EVIL}<a href=\"javascript:1\" onclick=\"1\">x</a>"));
    assert_ne!(broken, page);
    let read = title(folder.path(), &broken, &[]);
    assert!(own(&read), "{read}");
    // Without the policy it would.
    let from = broken.find("<meta http-equiv=\"Content-Security-Policy\"").unwrap();
    let to = from + broken[from..].find(">\n").unwrap();
    let read = title(folder.path(), &[&broken[..from], &broken[to + 1..]].concat(), &[]);
    assert_eq!(read, "run", "what was put in is a script");
}
