//! Lists of strangers, of which few are kept.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads a list and keeps `MAX` of it and one more, so that whoever counts sees that there are too many. The rest is
/// read over and takes no memory: a list of forty million empty things has but forty megabytes. Go writes `null` for
/// an empty list.
///
/// # Errors
/// Where it is no list, or one of its things is malformed.
pub fn few<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Few<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Few<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut few = Vec::new();
            while few.len() <= MAX {
                let Some(one) = list.next_element()? else { return Ok(few) };
                few.push(one);
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(few)
        }
    }

    deserializer.deserialize_any(Few::<T, MAX>(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        #[serde(default, deserialize_with = "few::<_, _, 2>")]
        list: Vec<u8>,
    }

    #[test]
    fn one_more_than_may_be_is_kept_and_the_rest_only_read_over() {
        for (text, kept) in [
            (r#"{}"#, Some(vec![])),
            (r#"{"list": null}"#, Some(vec![])),
            (r#"{"list": [1, 2]}"#, Some(vec![1, 2])),
            (r#"{"list": [1, 2, 3, 4, "x", {}]}"#, Some(vec![1, 2, 3])),
            (r#"{"list": [1, "x"]}"#, None),
            (r#"{"list": [1, 2, 3, 4"#, None),
            (r#"{"list": "x"}"#, None),
        ] {
            let read = serde_json::from_str::<Holder>(text).ok().map(|holder| holder.list);
            assert_eq!(read, kept, "{text}");
        }
    }
}
