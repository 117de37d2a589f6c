//! Java archives: what Maven wrote into them, and into the archives within them. Those that no Maven wrote are named by
//! their file name and manifest, which is a guess and is marked as one.

mod naming;

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::packed::opened;
use crate::component::{Found, Kind};

/// How the names of Java's archives end.
pub(crate) const ENDS: [&str; 7] = ["jar", "war", "ear", "jpi", "hpi", "par", "sar"];

/// How deep archives in archives are looked into: an application, its module, a library.
const DEPTH_MAX: usize = 4;

/// The most bytes that all that is read of one archive may have together: archives in it, and what names artifacts. Files
/// of an archive may lie on top of each other, so that each of many is large and all of them are small.
const INSIDE_MAX: u64 = 512 * 1024 * 1024;

/// The most files of one archive: class files of the largest are some 100,000.
const FILES_MAX: usize = 500_000;

/// The largest `pom.properties`: it has three lines.
const PROPERTIES_MAX: u64 = 64 * 1024;

/// The most of a manifest that is read: what names an archive is at its beginning, before what signs each file of it.
const MANIFEST_MAX: u64 = 64 * 1024;

/// Adds the artifacts in an archive of that name. `left` is how many bytes may still come of all archives of the image.
pub(super) fn artifacts(
    file: &str,
    bytes: &[u8],
    left: &mut u64,
    found: &mut Vec<Found>,
) -> Result<(), String> {
    let most = INSIDE_MAX.min(*left);
    let mut look = Look { budget: most, found, unread: None };
    look.archive(bytes, (file, ""), 0)?;
    *left = left.saturating_sub(most.saturating_sub(look.budget));
    match look.unread {
        None => Ok(()),
        Some(why) => Err(why),
    }
}

/// A look into an archive, and into those within it.
struct Look<'f> {
    /// How many bytes may still come of it.
    budget: u64,
    found: &'f mut Vec<Found>,
    /// Why something in it was not read, the first time. What is beside it is looked at all the same.
    unread: Option<String>,
}

impl Look<'_> {
    fn archive(&mut self, bytes: &[u8], (file, inside): (&str, &str), depth: usize) -> Result<(), String> {
        let mut archive = opened(bytes, FILES_MAX)?;
        let names: Vec<(usize, String)> = (0..archive.len())
            .filter_map(|at| Some((at, archive.name_for_index(at)?.ok()?.into_owned())))
            .collect();
        let before = self.found.len();
        let mut naming = naming::Naming::of(file);
        for (at, name) in names {
            naming.see(&name);
            if let Err(why) = self.at_file(&mut archive, (at, &name), inside, depth, &mut naming) {
                self.unread.get_or_insert(why);
            }
            if self.budget == 0 {
                break;
            }
        }
        // What Maven wrote is no guess; then the archive is named, or is made of others that are.
        if !self.found.iter().skip(before).any(|one| is_inside(one, inside)) {
            let named = naming.found().map(|named| at_place(named, inside));
            self.found.extend(named);
        }
        Ok(())
    }

    fn at_file(
        &mut self,
        archive: &mut ZipArchive<Cursor<&[u8]>>,
        (at, name): (usize, &str),
        inside: &str,
        depth: usize,
        naming: &mut naming::Naming,
    ) -> Result<(), String> {
        if name.eq_ignore_ascii_case("META-INF/MANIFEST.MF") {
            naming.manifest(&read(archive, at, (MANIFEST_MAX, true), &mut self.budget)?);
        } else if name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties") {
            let properties = read(archive, at, (PROPERTIES_MAX, false), &mut self.budget)?;
            let nameless = || format!("{inside}/{name}: expected an artifact and its version, got none");
            self.found.push(artifact(&properties, inside).ok_or_else(nameless)?);
        } else if is_archive(name) {
            let deeper = depth.checked_add(1).filter(|depth| *depth < DEPTH_MAX);
            let deeper =
                deeper.ok_or_else(|| format!("archives lie in archives more than {DEPTH_MAX} deep"))?;
            let inner = read(archive, at, (self.budget, false), &mut self.budget)?;
            let place = format!("{inside}/{name}");
            let file = name.rsplit('/').next().unwrap_or(name);
            self.archive(&inner, (file, &place), deeper).map_err(|why| format!("{place}: {why}"))?;
        }
        Ok(())
    }
}

/// Whether it was named within this very archive, not within one in it.
fn is_inside(found: &Found, inside: &str) -> bool {
    found.inside.as_deref().unwrap_or_default() == inside
}

fn at_place(found: Found, inside: &str) -> Found {
    Found { inside: (!inside.is_empty()).then(|| inside.to_owned()), ..found }
}

fn is_archive(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| ENDS.contains(&end.to_ascii_lowercase().as_str()))
}

/// A file of at most `limit` bytes, or its beginning where that is enough.
fn read(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    at: usize,
    (limit, beginning): (u64, bool),
    budget: &mut u64,
) -> Result<Vec<u8>, String> {
    let limit = limit.min(*budget);
    let file = archive.by_index(at).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    *budget = budget.saturating_sub(got);
    read.map_err(|error| error.to_string())?;
    match got > limit && !beginning {
        true => Err(format!("expected at most {limit} bytes in it, got more")),
        false => Ok(bytes),
    }
}

/// `groupId`, `artifactId`, `version`.
fn artifact(properties: &[u8], inside: &str) -> Option<Found> {
    let text = String::from_utf8_lossy(properties);
    let value = |key: &str| {
        let pair = text.lines().filter_map(|line| line.split_once('='));
        pair.map(|(name, value)| (name.trim(), value.trim()))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    };
    let name = format!("{}:{}", value("groupId")?, value("artifactId")?);
    Found::new(Kind::Maven, &name, value("version")?).map(|found| at_place(found, inside))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn jar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    const LEFT: u64 = 100_000_000;

    /// What is in an archive, and why not all of it.
    fn looked(file: &str, bytes: &[u8]) -> (Vec<Found>, Result<(), String>) {
        let mut found = Vec::new();
        let looked = artifacts(file, bytes, &mut LEFT.clone(), &mut found);
        (found, looked)
    }

    const LOG4J: (&str, &[u8]) = (
        "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties",
        b"#Created\nversion=2.14.1\ngroupId=org.apache.logging.log4j\nartifactId=log4j-core\n",
    );

    #[test]
    fn artifacts_in_archives_in_archives_are_found() {
        let inner = jar(&[LOG4J]);
        let outer = jar(&[("BOOT-INF/lib/log4j-core-2.14.1.jar", &inner)]);
        let (found, whole) = looked("app.jar", &outer);
        assert_eq!(whole, Ok(()));
        assert_eq!(
            (found[0].name.as_str(), found[0].version.as_str()),
            ("org.apache.logging.log4j:log4j-core", "2.14.1")
        );
        assert_eq!(found[0].inside.as_deref(), Some("/BOOT-INF/lib/log4j-core-2.14.1.jar"));
    }

    #[test]
    fn bombs_and_bad_archives_are_told() {
        let mut nested = jar(&[LOG4J]);
        for _ in 0..6 {
            nested = jar(&[("a.jar", &nested)]);
        }
        assert!(looked("a.jar", &nested).1.unwrap_err().ends_with("more than 4 deep"));
        let large = vec![b' '; 100_000];
        assert!(looked("a.jar", &jar(&[(LOG4J.0, &large)])).1.unwrap_err().contains("at most 65536 bytes"));
        assert!(looked("a.jar", b"PK").1.is_err());
    }

    #[test]
    fn what_cannot_be_read_hides_nothing_beside_it() {
        let nested = (0..6).fold(jar(&[LOG4J]), |inner, _| jar(&[("a.jar", &inner)]));
        let good = jar(&[LOG4J]);
        let outer = jar(&[
            ("lib/empty.jar", b""),
            ("META-INF/maven/g/a/pom.properties", b"groupId=g\n"),
            ("lib/deep.hpi", &nested),
            ("lib/log4j-core-2.14.1.sar", &good),
        ]);
        let (found, whole) = looked("app.war", &outer);
        let inside: Vec<_> = found.iter().map(|one| one.inside.as_deref()).collect();
        assert_eq!(inside, [Some("/lib/log4j-core-2.14.1.sar")]);
        assert!(whole.unwrap_err().starts_with("/lib/empty.jar: "));
    }

    #[test]
    fn many_files_that_are_small_together_and_large_each_are_told() {
        let text = vec![b' '; 60_000];
        let names: Vec<String> = (0..100).map(|at| format!("META-INF/maven/a{at}/pom.properties")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), text.as_slice())).collect();
        let mut left = 1_000_000;
        let why = artifacts("a.jar", &jar(&files), &mut left, &mut Vec::new()).unwrap_err();
        assert!(why.contains("pom.properties: expected an artifact"), "{why}");
        assert_eq!(left, 0);
    }

    /// The version, how it was told, and the names under which it is looked up.
    fn guessed(file: &str, manifest: &str, classes: &[&str]) -> Option<(String, String, Vec<String>)> {
        let mut files: Vec<(String, Vec<u8>)> = vec![("META-INF/MANIFEST.MF".into(), manifest.into())];
        files.extend(classes.iter().map(|class| (format!("{class}.class"), Vec::new())));
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let (found, whole) = looked(file, &jar(&files));
        assert_eq!(whole, Ok(()));
        assert!(found.len() <= 1, "{found:?}");
        let one = found.into_iter().next()?;
        let guess = one.guess.unwrap();
        Some((one.version, guess.from, guess.names))
    }

    #[test]
    fn an_archive_that_maven_did_not_write_is_named_by_its_file_and_manifest() {
        for (file, manifest, classes, version, from, name) in [
            // Written by Gradle: nothing but a title and a version.
            (
                "spring-core-5.3.17.jar",
                "Implementation-Title: spring-core\nImplementation-Version: 5.3.17\n",
                &["org/springframework/core/A", "org/springframework/util/B"][..],
                "5.3.17",
                "file-name",
                "org.springframework:spring-core",
            ),
            (
                "spring-beans.jar",
                "Implementation-Title: spring-beans\nImplementation-Version: 5.3.17\n",
                &["org/springframework/beans/A"],
                "5.3.17",
                "manifest",
                "org.springframework:spring-beans",
            ),
            // For OSGi, by the rules of the plug-in that writes its names.
            (
                "jackson-databind-2.9.1.jar",
                "Bundle-SymbolicName: com.fasterxml.jackson.core.jackson-databind;singleton:=true\n",
                &[],
                "2.9.1",
                "file-name",
                "com.fasterxml.jackson.core:jackson-databind",
            ),
            (
                "log4j-core-2.14.1.jar",
                "Bundle-SymbolicName: org.apache.logging.log4j.core\nBundle-Version: 2.14.1\n",
                &[],
                "2.14.1",
                "file-name",
                "org.apache.logging.log4j:log4j-core",
            ),
            (
                "bcprov-jdk15on-1.68.jar",
                "Implementation-Vendor-Id: org.bouncycastle\nBundle-Version: 1.68\n",
                &["org/bouncycastle/A"],
                "1.68",
                "file-name",
                "org.bouncycastle:bcprov-jdk15on",
            ),
            (
                "commons-io-2.4.jar",
                "",
                &["org/apache/commons/io/A"],
                "2.4",
                "file-name",
                "commons-io:commons-io",
            ),
            (
                "tomcat-embed-core-9.0.50.jar",
                "",
                &["org/apache/catalina/A", "javax/servlet/B"],
                "9.0.50",
                "file-name",
                "org.apache.tomcat.embed:tomcat-embed-core",
            ),
            // The version is what stands last, without what it was built for, where the manifest says which that is.
            (
                "log4j-1.2-api-2.17.1.jar",
                "",
                &["org/apache/log4j/A"],
                "2.17.1",
                "file-name",
                "log4j:log4j-1.2-api",
            ),
            ("guava-31.1-jre.jar", "", &["com/google/common/A"], "31.1-jre", "file-name", "com.google:guava"),
            (
                "netty-epoll-4.1.50.Final-linux-x86_64.jar",
                "Bundle-Version: 4.1.50.Final\n",
                &["io/netty/A"],
                "4.1.50.Final",
                "file-name",
                "io.netty:netty-epoll",
            ),
            ("foo-1.0-2.jar", "", &["foo/bar/A"], "1.0-2", "file-name", "foo.bar:foo"),
            // A long line goes on in the next one.
            (
                "x.jar",
                "Implementation-Title: a-na\r\n me\r\nImplementation-Version: 1.0\r\n\r\nName: x\r\nBundle-Version: 2\r\n",
                &["a/b/C"],
                "1.0",
                "manifest",
                "a.b:a-name",
            ),
        ] {
            let Some((got, by, names)) = guessed(file, manifest, classes) else { panic!("{file}: nothing") };
            assert_eq!((got.as_str(), by.as_str()), (version, from), "{file}");
            assert!(names.iter().any(|one| one == name), "{file}: {names:?}");
            assert!(names.len() <= 32, "{file}: {names:?}");
        }
    }

    #[test]
    fn what_says_too_little_is_no_artifact() {
        for (file, manifest, classes) in [
            ("app.jar", "Main-Class: x\n", &["a/b/C"][..]),
            ("app-2.jar", "", &["a/b/C"]),
            ("app-1.0-sources.jar", "", &["a/b/C"]),
            ("app-1.0-javadoc.jar", "", &["a/b/C"]),
            ("app-1.0.jar", "", &[]),
            ("x y.jar", "Implementation-Title: A Title of Words\nImplementation-Version: 1.0\n", &["a/b/C"]),
            ("x.jar", "Implementation-Title: a\nImplementation-Version: ${version}\n", &["a/b/C"]),
        ] {
            assert_eq!(guessed(file, manifest, classes), None, "{file} {manifest}");
        }
    }

    #[test]
    fn what_maven_wrote_is_no_guess() {
        let manifest =
            ("META-INF/MANIFEST.MF", &b"Implementation-Version: 9\nImplementation-Title: other\n"[..]);
        let inner = jar(&[LOG4J, manifest, ("a/b/C.class", b"")]);
        let outer = jar(&[
            ("WEB-INF/lib/log4j-core-2.14.1.jar", &inner),
            ("WEB-INF/lib/guess-1.0.jar", &jar(&[("a/b/C.class", b"")])),
        ]);
        let (found, whole) = looked("app.war", &outer);
        assert_eq!(whole, Ok(()));
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.version.as_str(), one.guess.is_some(), one.inside.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("2.14.1", false, Some("/WEB-INF/lib/log4j-core-2.14.1.jar")),
                ("1.0", true, Some("/WEB-INF/lib/guess-1.0.jar"))
            ]
        );
    }
}
