//! The outer form of every document (section 4.2): signatures, and what they are over.
//!
//! Nothing in it is trusted yet. The signed part stays text in normal form, see [`crate::scan`]: where the
//! file came so, it is the file itself, and nothing is copied.

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::canonical::{Node, Normal, decode_control, parse_with, utf8};
use crate::limits;
use crate::listing::{Listing, Marks};
use crate::scan::{Scanner, unescaped};
use crate::schema::{Document, Object};
use crate::{Reason, Refusal, Role};

/// Signatures, and the bytes they are over.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) signatures: Vec<Signature>,
    pub(crate) signed: Signed,
}

/// SIGNATURE of section 4.2.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Signature {
    pub(crate) keyid: String,
    /// Hex. May be empty: `tuf-on-ci` leaves such a place for a signature still to come.
    pub(crate) sig: String,
}

impl Envelope {
    pub(crate) fn parse(role: &Role, step: &'static str, file: Arc<Vec<u8>>) -> Result<Self, Refusal> {
        let malformed =
            |what: String| Refusal { role: role.clone(), step, reason: Reason::Malformed { what } };
        utf8(&file).map_err(|why| malformed(format!("{why}")))?;
        let envelope = match in_normal_form(&file) {
            Some(envelope) => envelope,
            None => parse_with(&file, EnvelopeSeed).map_err(|why| malformed(format!("{why}")))?,
        };
        let count = envelope.signatures.len();
        if count > limits::SIGNATURES {
            return Err(malformed(format!(
                "expected at most {} signatures, got {count}",
                limits::SIGNATURES
            )));
        }
        // 4.2: "each signature MUST have a unique keyid".
        let mut seen = BTreeSet::new();
        if let Some(twice) = envelope.signatures.iter().find(|one| !seen.insert(&one.keyid)) {
            return Err(malformed(format!("key {:?} signed twice", twice.keyid)));
        }
        Ok(envelope)
    }

    /// Reads the signed part as `role`'s document.
    pub(crate) fn read<T: Document>(&self, role: &Role, step: &'static str) -> Result<T, Refusal> {
        let refuse = |reason| Refusal { role: role.clone(), step, reason };
        let malformed = |what: String| refuse(Reason::Malformed { what });
        let type_name: String = self.signed.member("_type").map_err(malformed)?;
        if type_name != role.type_name() {
            return Err(refuse(Reason::Type { expected: role.type_name(), got: type_name }));
        }
        let spec_version: String = self.signed.member("spec_version").map_err(malformed)?;
        // 4.3: within one major version the formats are compatible.
        let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !spec_version.split('.').all(number) || spec_version.split('.').next() != Some("1") {
            return Err(refuse(Reason::SpecVersion { got: spec_version }));
        }
        T::read(&self.signed).map_err(malformed)
    }
}

/// The signed part as text in normal form, and where its members are.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    file: Arc<Vec<u8>>,
    span: Range<usize>,
    /// Whether control characters stand escaped in it.
    control: bool,
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
    /// For those that may be large objects.
    pub(crate) marks: Option<Marks>,
}

impl Signed {
    /// Reads an object in normal form.
    fn scan(file: &Arc<Vec<u8>>, scanner: &mut Scanner<'_>) -> Option<Self> {
        let (start, mut members) = (scanner.at(), Vec::new());
        scanner.members(0, |scanner, key| {
            let from = scanner.at();
            let large = matches!(key, b"targets" | b"meta") && file.get(from) == Some(&b'{');
            let marks = if large { Some(Marks::scan(scanner)?) } else { scanner.value(1).map(|()| None)? };
            members.push(Member { name: unescaped(key)?.into_owned(), span: from..scanner.at(), marks });
            Some(())
        })?;
        Some(Self { file: Arc::clone(file), span: start..scanner.at(), control: scanner.control(), members })
    }

    /// A document that the strict reader brought into normal form.
    fn of(normal: Normal) -> Option<Self> {
        let file = Arc::new(normal.into_json());
        let mut scanner = Scanner::new(&file, 0);
        let signed = Self::scan(&file, &mut scanner)?;
        (scanner.at() == file.len()).then_some(signed)
    }

    /// A signed part of which another reading told where things are. What is out of bounds is no text.
    pub(crate) fn recalled(file: Arc<Vec<u8>>, members: Vec<Member>) -> Self {
        Self { span: 0..file.len(), file, control: false, members }
    }

    /// The text, as ordinary JSON.
    pub(crate) fn json(&self) -> &[u8] {
        self.text(&self.span)
    }

    /// Whether the text is that of the file as it came.
    pub(crate) fn is_within(&self, file: &Arc<Vec<u8>>) -> bool {
        Arc::ptr_eq(&self.file, file)
    }

    pub(crate) fn file(&self) -> &Arc<Vec<u8>> {
        &self.file
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The bytes that signatures are over: control characters stand for themselves.
    pub(crate) fn canonical(&self) -> Cow<'_, [u8]> {
        if self.control { Cow::Owned(decode_control(self.json())) } else { Cow::Borrowed(self.json()) }
    }

    pub(crate) fn text(&self, span: &Range<usize>) -> &[u8] {
        self.file.get(span.clone()).unwrap_or_default()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Reads a member that must be there.
    pub(crate) fn member<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let member = self.find(name).ok_or_else(|| format!("missing field `{name}`"))?;
        serde_json::from_slice(self.text(&member.span)).map_err(|why| format!("{why} in {name}"))
    }

    /// A member that must be an object, left as text.
    pub(crate) fn listing(&self, name: &str) -> Result<Listing, String> {
        let member = self.find(name).ok_or_else(|| format!("missing field `{name}`"))?;
        match &member.marks {
            Some(marks) => Ok(Listing::new(Arc::clone(&self.file), marks.clone())),
            None => Err(format!("expected an object {name:?}, got another value")),
        }
    }
}

fn read_signatures(text: &[u8]) -> serde_json::Result<Vec<Signature>> {
    let signatures: Vec<Object<Signature>> = serde_json::from_slice(text)?;
    Ok(signatures.into_iter().map(|Object(signature)| signature).collect())
}

/// An envelope whose members are in normal form. White space around them is nobody's concern.
fn in_normal_form(file: &Arc<Vec<u8>>) -> Option<Envelope> {
    let mut scanner = Scanner::new(file, 0);
    let (mut signed, mut signatures) = (None, None);
    scanner.take_spaced(b'{')?;
    loop {
        scanner.skip_space();
        let key = scanner.string()?;
        scanner.take_spaced(b':')?;
        scanner.skip_space();
        match key {
            b"signed" if signed.is_none() => signed = Some(Signed::scan(file, &mut scanner)?),
            b"signatures" if signatures.is_none() => signatures = Some(scanner.span(0)?),
            _ => return None,
        }
        if scanner.take_spaced(b',').is_none() {
            break;
        }
    }
    scanner.take_spaced(b'}')?;
    scanner.skip_space();
    let signatures = read_signatures(file.get(signatures?)?).ok()?;
    (scanner.at() == file.len()).then_some(Envelope { signatures, signed: signed? })
}

/// Reads `{"signatures": …, "signed": …}` strictly, other members included.
struct EnvelopeSeed;

impl<'de> DeserializeSeed<'de> for EnvelopeSeed {
    type Value = Envelope;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"signatures\" and \"signed\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope, A::Error> {
        let mut members: BTreeMap<String, Normal> = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let mut value = Normal::default();
            map.next_value_seed(Node::at_top(&mut value))?;
            if members.contains_key(&name) {
                return Err(de::Error::custom(format_args!("duplicate key {name:?}")));
            }
            members.insert(name, value);
        }
        let mut take = |name| members.remove(name).ok_or_else(|| de::Error::missing_field(name));
        let (signed, signatures) = (take("signed")?, take("signatures")?);
        let signatures = read_signatures(&signatures.into_json()).map_err(de::Error::custom)?;
        let signed = Signed::of(signed).ok_or_else(|| {
            de::Error::custom(format_args!(
                "expected an object \"signed\", got {}",
                "another value".to_owned()
            ))
        })?;
        Ok(Envelope { signatures, signed })
    }
}
