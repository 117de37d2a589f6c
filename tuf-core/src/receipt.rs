//! Receipts: what a client keeps of a targets document that it has weighed, so that these very bytes
//! needn't be parsed and their signatures checked again.
//!
//! A receipt vouches for two things about bytes with one SHA-256: that a threshold of given keys signed
//! them, and that they are well formed. It vouches for nothing that changes. Whether the snapshot states
//! these bytes, whether the delegator still names these keys and this threshold, the version and the
//! expiry are weighed each time. Who can forge a receipt can forge a signature, so one is honoured only
//! from a place where nobody but the client writes: that is the caller's to know.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::envelope::{Member, Signed};
use crate::hash::{sha256, sha256_hex};
use crate::key::Key;
use crate::listing::Marks;
use crate::schema::RoleKeys;
use crate::{Role, Signers};

/// The form of receipts, and of the rules by which documents were found well formed. One of another form is
/// none.
const FORM: u32 = 2;
/// The members that are read again. Whatever else a document holds was looked at once.
const MEMBERS: [&str; 4] = ["delegations", "expires", "targets", "version"];

/// That a document was weighed, by whose keys it was found good, and where its members stand.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Receipt {
    form: u32,
    role: String,
    authority: String,
    length: u64,
    sha256: String,
    threshold: u32,
    key_ids: Vec<String>,
    members: Vec<Place>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Place {
    name: String,
    start: u32,
    end: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    marks: Vec<u32>,
}

impl Receipt {
    /// The receipt of a document of this SHA-256, where its bytes are what was parsed. One that had to be brought into
    /// normal form first has none.
    pub(crate) fn of(
        role: &Role,
        authority: &Authority,
        signers: &Signers,
        signed: &Signed,
        file: &Arc<Vec<u8>>,
        sha256: Option<String>,
    ) -> Option<Self> {
        let wanted = |member: &&Member| MEMBERS.contains(&member.name.as_str());
        let members = signed.members().iter().filter(wanted).map(Place::of).collect::<Option<_>>()?;
        signed.is_within(file).then(|| Self {
            form: FORM,
            role: role.name().to_owned(),
            authority: authority.0.clone(),
            length: u64::try_from(file.len()).unwrap_or(u64::MAX),
            sha256: sha256.unwrap_or_else(|| sha256_hex(file)),
            threshold: signers.threshold,
            key_ids: signers.key_ids.clone(),
            members,
        })
    }

    /// Whether this is the receipt of that role's document with these bytes, under that authority.
    pub(crate) fn covers(&self, role: &Role, authority: &Authority, file: &[u8]) -> bool {
        self.role == role.name()
            && self.authority == authority.0
            && u64::try_from(file.len()) == Ok(self.length)
            && self.sha256 == sha256_hex(file)
    }

    /// The SHA-256 of the bytes, in hex.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(crate) fn signers(&self) -> Signers {
        Signers { threshold: self.threshold, key_ids: self.key_ids.clone() }
    }

    pub(crate) fn signed(&self, file: &Arc<Vec<u8>>) -> Option<Signed> {
        let members = self.members.iter().map(Place::member).collect::<Option<_>>()?;
        Some(Signed::recalled(Arc::clone(file), members))
    }

    /// The receipt as a file: the SHA-256 of what follows, and JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers, strings and lists of them: nothing here can fail.
        let json = serde_json::to_vec(self).unwrap_or_default();
        [sha256_hex(&json).as_bytes(), b"\n", &json].concat()
    }

    /// Reads such a file. A damaged one, or one of another form, is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sum, rest) = bytes.split_at_checked(64)?;
        let json = rest.strip_prefix(b"\n")?;
        if sha256_hex(json).as_bytes() != sum {
            return None;
        }
        serde_json::from_slice(json).ok().filter(|receipt: &Self| receipt.form == FORM)
    }
}

impl Place {
    fn of(member: &Member) -> Option<Self> {
        let bound = |at: usize| u32::try_from(at).ok();
        let (start, end) = (bound(member.span.start)?, bound(member.span.end)?);
        let (count, marks) = match &member.marks {
            Some(marks) => (Some(marks.count), marks.at.clone()),
            None => (None, Vec::new()),
        };
        Some(Self { name: member.name.clone(), start, end, count, marks })
    }

    fn member(&self) -> Option<Member> {
        let span = usize::try_from(self.start).ok()?..usize::try_from(self.end).ok()?;
        let marks = self.count.map(|count| Marks { at: self.marks.clone(), count });
        Some(Member { name: self.name.clone(), span, marks })
    }
}

/// Who may sign as a role, as its delegator says: a digest of keys and threshold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Authority(String);

impl Authority {
    pub(crate) fn of(keys: &BTreeMap<String, Key>, role_keys: &RoleKeys) -> Self {
        let mut ids: Vec<&String> = role_keys.keyids.iter().collect();
        ids.sort_unstable();
        let mut text = Vec::new();
        let mut part = |part: &str| {
            // Digests are of one length, so no two lists of parts are one text.
            text.extend_from_slice(&sha256(part.as_bytes()));
        };
        part(&alloc::format!("{}", role_keys.threshold));
        for id in ids {
            part(id);
            let key = keys.get(id);
            for value in
                [key.map(|key| &key.keytype), key.map(|key| &key.scheme), key.map(|key| &key.keyval.public)]
            {
                part(value.map_or("", String::as_str));
            }
        }
        Self(sha256_hex(&text))
    }
}
