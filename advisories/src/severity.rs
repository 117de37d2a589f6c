//! How bad it is, and who says so: the distribution, then the vectors of the advisory (CVSS 4, 3, 2), then what
//! others say of the CVE.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::osv;

/// How bad it is: the order is that of the variants.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Level {
    /// Nobody said.
    Unknown,
    /// Of no consequence, says the distribution.
    Negligible,
    /// Below 4.0 of CVSS.
    Low,
    /// Below 7.0.
    Medium,
    /// Below 9.0.
    High,
    /// From 9.0 on.
    Critical,
}

/// How bad it is, with the grounds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Severity<S> {
    /// In a word.
    pub level: Level,
    /// The base score of CVSS, 0.0 to 10.0.
    pub score: Option<f32>,
    /// The vector of CVSS.
    pub vector: Option<S>,
    /// Who says so: a distribution, `CVSS`, or `CVSS of the CVE` where the advisory itself says nothing.
    pub source: Option<S>,
}

impl<S> Severity<S> {
    pub(crate) const UNKNOWN: Self = Self { level: Level::Unknown, score: None, vector: None, source: None };

    /// The same, of other texts.
    pub(crate) fn map<'a, T>(&'a self, text: impl Fn(&'a S) -> T) -> Severity<T> {
        Severity {
            level: self.level,
            score: self.score,
            vector: self.vector.as_ref().map(&text),
            source: self.source.as_ref().map(&text),
        }
    }
}

impl Severity<String> {
    /// Of a vector of any version.
    pub(crate) fn of_vector(vector: &str, source: &str) -> Option<Self> {
        let score = score(vector)?;
        let owned = |text: &str| Some(text.to_owned());
        Some(Self {
            level: Level::of_score(score),
            score: Some(score),
            vector: owned(vector),
            source: owned(source),
        })
    }
}

impl Level {
    /// The qualitative scale of CVSS 3.1, section 5; 4.0 has the same.
    fn of_score(score: f32) -> Self {
        match score {
            score if score >= 9.0 => Self::Critical,
            score if score >= 7.0 => Self::High,
            score if score >= 4.0 => Self::Medium,
            score if score > 0.0 => Self::Low,
            _ => Self::Negligible,
        }
    }

    /// The words of distributions: Ubuntu's priorities, Debian's urgencies, Red Hat's ratings, GitHub's.
    fn of_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().trim_end_matches('*') {
            "critical" => Self::Critical,
            "high" | "important" => Self::High,
            "medium" | "moderate" => Self::Medium,
            "low" => Self::Low,
            "negligible" | "unimportant" => Self::Negligible,
            _ => return None,
        })
    }
}

/// What a vector of each version must have, by its specification; without one of them it has no score. (The library
/// takes what is missing in a vector of CVSS 3 to be harmless, so that half a vector would be a score of 0.0.)
const MANDATORY: [(&str, &[&str]); 3] = [
    ("CVSS:4", &["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"]),
    ("CVSS:3", &["AV", "AC", "PR", "UI", "S", "C", "I", "A"]),
    ("", &["AV", "AC", "Au", "C", "I", "A"]),
];

fn is_whole(vector: &str) -> bool {
    let has = |metric: &&str| {
        vector.split('/').any(|one| one.split_once(':').is_some_and(|(name, _)| name == *metric))
    };
    let mandatory = MANDATORY.iter().find(|(version, _)| vector.starts_with(version));
    mandatory.is_some_and(|(_, metrics)| metrics.iter().all(has))
}

/// The base score.
fn score(vector: &str) -> Option<f32> {
    let vector = vector.trim_matches(['(', ')']);
    if !is_whole(vector) {
        return None;
    }
    let score = match vector {
        v if v.starts_with("CVSS:4") => cvss::v4::Vector::from_str(v).ok()?.score().value(),
        v if v.starts_with("CVSS:3") => cvss::v3::Vector::from_str(v).ok()?.score().value(),
        v => cvss::v2::Vector::from_str(v).ok()?.score().value(),
    };
    #[expect(clippy::cast_possible_truncation, reason = "a score has one decimal and is at most 10")]
    let score = score as f32;
    (0.0..=10.0).contains(&score).then_some(score)
}

/// The word of the distribution, of whatever member it is in.
pub(crate) fn distribution(advisory: &osv::Advisory, affected: &osv::Affected, name: &str) -> Option<Level> {
    let of = |value: &Option<Value>, member: &str| {
        value.as_ref().and_then(|value| value.get(member)).and_then(Value::as_str).and_then(Level::of_word)
    };
    let listed = |list: &Option<Vec<osv::Severity>>| {
        list.iter()
            .flatten()
            .find(|severity| severity.kind == name)
            .and_then(|one| Level::of_word(&one.score))
    };
    let rated = || {
        let (rating, _) = advisory.summary.as_deref().filter(|_| name == "AlmaLinux")?.split_once(':')?;
        Level::of_word(rating)
    };
    of(&affected.ecosystem_specific, "ubuntu_priority")
        .or_else(|| of(&affected.ecosystem_specific, "urgency"))
        .or_else(|| listed(&affected.severity))
        .or_else(|| listed(&advisory.severity))
        .or_else(rated)
}

/// What the advisory says by CVSS: the newest version that it has.
pub(crate) fn of_advisory(advisory: &osv::Advisory, affected: &osv::Affected) -> Option<Severity<String>> {
    let lists = [&affected.severity, &advisory.severity];
    let vectors = ["CVSS_V4", "CVSS_V3", "CVSS_V2"].into_iter().find_map(|kind| {
        let mut listed = lists.into_iter().flat_map(|list| list.iter().flatten());
        listed.find_map(|one| (one.kind == kind).then(|| Severity::of_vector(&one.score, "CVSS")).flatten())
    });
    vectors.or_else(|| {
        let vector = affected.database_specific.as_ref()?.get("cvss")?.as_str()?;
        Severity::of_vector(vector, "CVSS")
    })
}

/// What the database that it is from says, without a vector: a score (ruby-advisory-db) or a word (GitHub).
pub(crate) fn of_database(advisory: &osv::Advisory) -> Option<Severity<String>> {
    let specific = advisory.database_specific.as_ref()?;
    let source = Some("its database".to_owned());
    if let Some(score) = specific.get("cvss_v3_score").and_then(Value::as_f64) {
        #[expect(clippy::cast_possible_truncation, reason = "a score has one decimal and is at most 10")]
        let score = score as f32;
        let valid = (0.0..=10.0).contains(&score);
        return valid.then(|| Severity {
            level: Level::of_score(score),
            score: Some(score),
            vector: None,
            source,
        });
    }
    let level = Level::of_word(specific.get("severity")?.as_str()?)?;
    Some(Severity { level, score: None, vector: None, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From FIRST's examples for CVSS 2 (guide, section 3.3), 3.1 and 4.0.
    #[test]
    fn scores_are_those_of_first() {
        for (vector, expected) in [
            ("AV:N/AC:L/Au:N/C:N/I:N/A:C", 7.8),
            ("AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0),
            ("(AV:L/AC:H/Au:N/C:C/I:C/A:C)", 6.2),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
            ("CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
            ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
            ("CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.3),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 10.0),
        ] {
            assert_eq!(score(vector), Some(expected), "{vector}");
        }
        for vector in [
            "",
            "AV:N/AC:L/Au:N",
            "CVSS:3.1",
            "CVSS:3.1/AV:N",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H",
            "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N",
            "CVSS:9.0/AV:N",
            "high",
        ] {
            assert_eq!(score(vector), None, "{vector}");
        }
    }
}
