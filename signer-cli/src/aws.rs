//! What shows AWS, and stores that speak its protocol, who asks: from the environment, or from the file that
//! AWS's own tools share.

use std::fs;
use std::path::PathBuf;

use publish_store::AwsKeys;
use zeroize::Zeroizing;

/// A file of some profiles, of some lines each.
const FILE_MAX: u64 = 256 * 1024;

/// The keys that the environment has; else those of a profile in `~/.aws/credentials`.
pub(crate) fn keys(mut value: impl FnMut(&str) -> Option<String>) -> Option<AwsKeys> {
    let region = value("AWS_REGION").or_else(|| value("AWS_DEFAULT_REGION"));
    if let Some(access_key_id) = value("AWS_ACCESS_KEY_ID") {
        return Some(AwsKeys {
            access_key_id,
            secret_access_key: value("AWS_SECRET_ACCESS_KEY")?.into(),
            session_token: value("AWS_SESSION_TOKEN").map(Into::into),
            region,
        });
    }
    let file = value("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
    let file = file.or_else(|| Some(PathBuf::from(value("HOME")?).join(".aws/credentials")))?;
    if fs::metadata(&file).ok()?.len() > FILE_MAX {
        return None;
    }
    let text = Zeroizing::new(fs::read_to_string(file).ok()?);
    let profile = value("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let keys = of_profile(&text, &profile)?;
    Some(AwsKeys { region: region.or(keys.region.clone()), ..keys })
}

/// The keys of a profile: lines of `name = value` below `[PROFILE]`.
fn of_profile(text: &str, profile: &str) -> Option<AwsKeys> {
    let heading =
        |line: &str| line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
    let lines: Vec<(&str, &str)> = text
        .lines()
        .map(str::trim)
        .skip_while(|line| heading(line).is_none_or(|name| name.trim() != profile))
        .skip(1)
        .take_while(|line| heading(line).is_none())
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let value = |wanted: &str| lines.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    Some(AwsKeys {
        access_key_id: value("aws_access_key_id")?.to_owned(),
        secret_access_key: value("aws_secret_access_key")?.to_owned().into(),
        session_token: value("aws_session_token").map(|token| token.to_owned().into()),
        region: value("region").map(ToOwned::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
[other]
aws_access_key_id = OTHER
aws_secret_access_key = o

# people write these
[ default ]
aws_access_key_id=AKID
aws_secret_access_key = s3cret=
region = eu-west-1
[last]
aws_session_token = t
";

    #[test]
    fn a_profile_is_what_stands_below_its_name() {
        let keys = of_profile(FILE, "default").unwrap();
        assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.as_str()), ("AKID", "s3cret="));
        assert_eq!((keys.region.as_deref(), keys.session_token.is_none()), (Some("eu-west-1"), true));
        assert_eq!(of_profile(FILE, "other").unwrap().access_key_id, "OTHER");
        assert!(of_profile(FILE, "last").is_none(), "half a pair is none");
        assert!(of_profile(FILE, "nobody").is_none());
    }

    #[test]
    fn the_environment_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials");
        fs::write(&file, FILE).unwrap();
        let with = |more: &[(&str, &str)]| {
            keys(|name| {
                let given = more.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
                let at = || (name == "AWS_SHARED_CREDENTIALS_FILE").then(|| file.display().to_string());
                given.or_else(at)
            })
        };
        assert_eq!(with(&[]).unwrap().access_key_id, "AKID");
        assert_eq!(with(&[("AWS_PROFILE", "other")]).unwrap().access_key_id, "OTHER");
        let keys = with(&[("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "s")]).unwrap();
        assert_eq!((keys.access_key_id.as_str(), keys.region), ("ENV", None));
        assert!(with(&[("AWS_ACCESS_KEY_ID", "ENV")]).is_none(), "the pair is never mixed");
        assert_eq!(with(&[("AWS_REGION", "us-east-2")]).unwrap().region.as_deref(), Some("us-east-2"));
    }
}
