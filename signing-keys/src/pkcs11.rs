//! Keys in a token (PKCS#11 3.1): an HSM, a smart card, a YubiKey through its `ykcs11`, or SoftHSM.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use sha2::{Digest as _, Sha256, Sha384};
use tuf_core::crypto::{RsaScheme, Sign, SignError};
use tuf_core::key::{Key, KeyVal, RsaHash};
use zeroize::Zeroizing;

use crate::uri::Token;
use crate::{Around, Ask, Secret, Why, asn1};

/// A PIN has some characters; a file with more is another one.
const PIN_FILE_MAX: u64 = 1024;

/// Named curves as tokens state them: DER of the object identifier (RFC 5480, RFC 8410), or its name as a
/// PrintableString, which older tokens send.
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";

/// A private key in a token, logged in.
pub(crate) struct TokenKey {
    /// A token does one thing at a time.
    session: Mutex<Session>,
    private: ObjectHandle,
    kind: Kind,
    key: Key,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Ed25519,
    P256,
    P384,
    Rsa,
}

pub(crate) fn open(token: &Token, around: &Around, ask: &mut dyn Ask) -> Result<TokenKey, Why> {
    let (pkcs11, slot, session) = begin(token, around)?;
    log_in(&pkcs11, slot, &session, token, ask)?;
    let private = find_one(&session, ObjectClass::PRIVATE_KEY, token)?;
    let (kind, key) = public(&session, private, token)?;
    Ok(TokenKey { session: Mutex::new(session), private, kind, key })
}

/// The public half, where the token shows it to whoever hasn't logged in.
pub(crate) fn shown(token: &Token, around: &Around) -> Result<Option<Key>, Why> {
    let (_, _, session) = begin(token, around)?;
    let found = session.find_objects(&template(ObjectClass::PUBLIC_KEY, token)).map_err(answer)?;
    match found.as_slice() {
        [public] => of_object(&session, *public).map(|(_, key)| Some(key)),
        _ => Ok(None),
    }
}

fn begin(token: &Token, around: &Around) -> Result<(Pkcs11, Slot, Session), Why> {
    let module = token.module.as_ref().or(around.module.as_ref()).ok_or_else(|| {
        Why::Missing("no PKCS#11 module: name it with module-path=, or in PKCS11_MODULE_PATH".into())
    })?;
    let pkcs11 = load(module)?;
    let slot = find_slot(&pkcs11, token)?;
    let session = pkcs11.open_ro_session(slot).map_err(answer)?;
    Ok((pkcs11, slot, session))
}

fn load(module: &Path) -> Result<Pkcs11, Why> {
    let missing = |why: Error| Why::Missing(format!("the module {}: {why}", module.display()));
    let pkcs11 = Pkcs11::new(module).map_err(missing)?;
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Another key of this run is in the same module.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(pkcs11),
        Err(why) => Err(missing(why)),
    }
}

fn find_slot(pkcs11: &Pkcs11, token: &Token) -> Result<Slot, Why> {
    let slots = pkcs11.get_slots_with_initialized_token().map_err(answer)?;
    let mut fitting = Vec::new();
    let mut seen = Vec::new();
    for slot in slots {
        let info = pkcs11.get_token_info(slot).map_err(answer)?;
        let same = |wanted: &Option<String>, got: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == got.trim_end())
        };
        let here = token.slot.is_none_or(|wanted| wanted == slot.id());
        if here && same(&token.token, info.label()) && same(&token.serial, info.serial_number()) {
            fitting.push(slot);
        }
        seen.push(info.label().trim_end().to_owned());
    }
    match fitting.as_slice() {
        [slot] => Ok(*slot),
        [] => {
            let wanted = token.token.as_deref().or(token.serial.as_deref()).unwrap_or("any");
            let seen = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
            Err(Why::Missing(format!("expected token {wanted}, got {seen}: is it plugged in?")))
        }
        several => Err(Why::Ambiguous(several.len())),
    }
}

/// One attempt for one answer: a token that is asked too often with a wrong PIN locks itself.
fn log_in(
    pkcs11: &Pkcs11,
    slot: Slot,
    session: &Session,
    token: &Token,
    ask: &mut dyn Ask,
) -> Result<(), Why> {
    let info = pkcs11.get_token_info(slot).map_err(answer)?;
    if !info.login_required() {
        return Ok(());
    }
    if info.user_pin_locked() {
        return Err(Why::Locked);
    }
    // Only a person may take the last try: a script that is wrong would take the key away for good.
    let last_try = info.user_pin_final_try();
    if last_try && token.pin_source.is_some() {
        return Err(Why::NoSecret("one more wrong PIN locks the token, so none is taken from a file".into()));
    }
    let pin = match &token.pin_source {
        Some(file) => pin_from(file)?,
        None => {
            let what = format!("token {}", info.label().trim_end());
            ask.secret(&what, last_try).map_err(Why::NoSecret)?
        }
    };
    let pin = AuthPin::new(pin.as_str().into());
    match session.login(UserType::User, Some(&pin)) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
            let last_try = pkcs11.get_token_info(slot).is_ok_and(|info| info.user_pin_final_try());
            Err(Why::WrongSecret { last_try })
        }
        Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(Why::Locked),
        Err(why) => Err(answer(why)),
    }
}

fn pin_from(file: &Path) -> Result<Secret, Why> {
    let unusable = |why: String| Why::NoSecret(format!("{}: {why}", file.display()));
    let file_of = fs::File::open(file).map_err(|why| unusable(why.to_string()))?;
    let mut text = Zeroizing::new(String::with_capacity(128));
    // Counted as it is read: a pipe has no length.
    let read = file_of.take(PIN_FILE_MAX.saturating_add(1)).read_to_string(&mut text);
    let length = read.map_err(|why| unusable(why.to_string()))?;
    if u64::try_from(length).unwrap_or(u64::MAX) > PIN_FILE_MAX {
        return Err(unusable(format!("expected at most {PIN_FILE_MAX} bytes, got more")));
    }
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn template(class: ObjectClass, token: &Token) -> Vec<Attribute> {
    let mut template = vec![Attribute::Class(class)];
    template.extend(token.object.as_ref().map(|label| Attribute::Label(label.as_bytes().to_vec())));
    template.extend(token.id.as_ref().map(|id| Attribute::Id(id.clone())));
    template
}

fn find_one(session: &Session, class: ObjectClass, token: &Token) -> Result<ObjectHandle, Why> {
    let found = session.find_objects(&template(class, token)).map_err(answer)?;
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(Why::Missing("the token has no such key".into())),
        several => Err(Why::Ambiguous(several.len())),
    }
}

/// The public half: of the object beside the private one, for private ones needn't tell.
fn public(session: &Session, private: ObjectHandle, token: &Token) -> Result<(Kind, Key), Why> {
    let id = session.get_attributes(private, &[AttributeType::Id]).map_err(answer)?;
    let mut wanted = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
    let named = |attribute: &Attribute| matches!(attribute, Attribute::Id(id) if !id.is_empty());
    match id.into_iter().find(named) {
        Some(id) => wanted.push(id),
        None => wanted = template(ObjectClass::PUBLIC_KEY, token),
    }
    let found = session.find_objects(&wanted).map_err(answer)?;
    let [public] = found.as_slice() else {
        return Err(Why::Missing(
            "the token has no public key beside it: import that, with the same id".into(),
        ));
    };
    of_object(session, *public)
}

fn of_object(session: &Session, public: ObjectHandle) -> Result<(Kind, Key), Why> {
    let all = [
        AttributeType::KeyType,
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
    ];
    let (mut kind, mut curve, mut point, mut modulus, mut exponent) = (None, None, None, None, None);
    for attribute in session.get_attributes(public, &all).map_err(answer)? {
        match attribute {
            Attribute::KeyType(of) => kind = Some(of),
            Attribute::EcParams(bytes) => curve = Some(bytes),
            Attribute::EcPoint(bytes) => point = Some(bytes),
            Attribute::Modulus(bytes) => modulus = Some(bytes),
            Attribute::PublicExponent(bytes) => exponent = Some(bytes),
            _ => {}
        }
    }
    let key = |keytype: &str, scheme: &str, public: String| {
        let key = Key { keytype: keytype.into(), scheme: scheme.into(), keyval: KeyVal { public } };
        // In one spelling, whatever the token's was.
        let pem = key.to_pem().map_err(|why| Why::Answer(why.to_string()))?;
        Key::from_pem(&pem).map_err(|why| Why::Answer(why.to_string()))
    };
    match (kind, curve.as_deref(), point) {
        (Some(KeyType::EC), Some(P256), Some(point)) => {
            Ok((Kind::P256, key("ecdsa", "ecdsa-sha2-nistp256", hex(unwrapped(&point, 65)))?))
        }
        (Some(KeyType::EC), Some(P384), Some(point)) => {
            Ok((Kind::P384, key("ecdsa", "ecdsa-sha2-nistp384", hex(unwrapped(&point, 97)))?))
        }
        (Some(KeyType::EC_EDWARDS), Some(ED25519 | ED25519_NAME), Some(point)) => {
            Ok((Kind::Ed25519, key("ed25519", "ed25519", hex(unwrapped(&point, 32)))?))
        }
        (Some(KeyType::RSA), ..) => {
            let parts =
                modulus.zip(exponent).ok_or_else(|| Why::Answer("an RSA key without a modulus".into()))?;
            let der = asn1::integers(&[&parts.0, &parts.1]);
            let der = der.ok_or_else(|| Why::Answer("an RSA key with no usable modulus".into()))?;
            let pem = der::Document::try_from(der.as_slice())
                .and_then(|document| document.to_pem("RSA PUBLIC KEY", der::pem::LineEnding::LF))
                .map_err(|why| Why::Answer(why.to_string()))?;
            Ok((Kind::Rsa, key("rsa", "rsassa-pss-sha256", pem)?))
        }
        (Some(KeyType::EC), ..) => Err(Why::Kind("ECDSA over another curve".into())),
        _ => Err(Why::Kind("another kind".into())),
    }
}

/// A point as tokens state it, in an OCTET STRING, or as it is.
fn unwrapped(point: &[u8], length: usize) -> &[u8] {
    match point {
        [0x04, of, rest @ ..] if rest.len() == length && usize::from(*of) == length => rest,
        plain => plain,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(why: Error) -> Why {
    Why::Answer(why.to_string())
}

impl Sign for TokenKey {
    fn key(&self) -> &Key {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let ecdsa = |digest: &[u8]| {
            let raw = self.by(&Mechanism::Ecdsa, digest)?;
            asn1::ecdsa(&raw).ok_or_else(|| SignError { what: "the token's signature is none".into() })
        };
        match self.kind {
            Kind::Ed25519 => {
                let pure = EddsaParams::new(EddsaSignatureScheme::Ed25519);
                self.by(&Mechanism::Eddsa(pure), message)
            }
            Kind::P256 => ecdsa(&Sha256::digest(message)),
            Kind::P384 => ecdsa(&Sha384::digest(message)),
            Kind::Rsa => self.by(&rsa(RsaScheme::Pss(RsaHash::Sha256)), message),
        }
    }

    fn sign_rsa(&self, scheme: RsaScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match self.kind {
            Kind::Rsa => self.by(&rsa(scheme), message),
            _ => Err(SignError { what: format!("expected an RSA key, got one by {}", self.key.scheme) }),
        }
    }
}

impl TokenKey {
    fn by(&self, mechanism: &Mechanism<'_>, data: &[u8]) -> Result<Vec<u8>, SignError> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let signature = session.sign(mechanism, self.private, data);
        signature.map_err(|why| SignError { what: format!("the token didn't sign: {why}") })
    }
}

fn rsa(scheme: RsaScheme) -> Mechanism<'static> {
    // The salt is as long as the hash: clients accept no other (section 4.2.1).
    let pss = |hash_alg, mgf, salt: u64| PkcsPssParams { hash_alg, mgf, s_len: salt.into() };
    match scheme {
        RsaScheme::Pkcs1Sha256 => Mechanism::Sha256RsaPkcs,
        RsaScheme::Pss(RsaHash::Sha256) => {
            Mechanism::Sha256RsaPkcsPss(pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32))
        }
        RsaScheme::Pss(RsaHash::Sha384) => {
            Mechanism::Sha384RsaPkcsPss(pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48))
        }
        RsaScheme::Pss(RsaHash::Sha512) => {
            Mechanism::Sha512RsaPkcsPss(pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64))
        }
    }
}
