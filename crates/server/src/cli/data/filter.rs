//! Conditions as a person writes them: `age>=18`.

use serde_json::Value;
use tidewire_client::Filter;

/// Longer signs come before those that they begin with.
const SIGNS: [(&str, &str); 10] = [
    (">=", "Gte"),
    ("<=", "Lte"),
    ("!=", "Ne"),
    ("^=", "StartsWith"),
    ("$=", "EndsWith"),
    ("==", "Eq"),
    ("=", "Eq"),
    (">", "Gt"),
    ("<", "Lt"),
    ("~", "Contains"),
];

/// A condition, or a filter as JSON.
pub(super) fn parse(text: &str) -> Result<Filter, String> {
    if text.trim_start().starts_with('{') {
        let filter =
            serde_json::from_str(text).map_err(|error| format!("the filter is not JSON: {error}"))?;
        return Ok(Filter::json(filter));
    }
    // The first sign in the text is the one: what comes after it may hold others.
    let places = SIGNS.iter().filter_map(|(sign, operator)| Some((text.find(sign)?, sign, operator)));
    let first = places.min_by_key(|(place, sign, _)| (*place, std::cmp::Reverse(sign.len())));
    match first {
        Some((place, sign, operator)) if place > 0 => {
            let (field, written) = (text[..place].trim(), text[place + sign.len()..].trim());
            Ok(Filter::condition(field, operator, value(written)))
        }
        _ => Err(String::from("write a member, a sign and a value, like age>=18, city=Rome or name~da")),
    }
}

/// JSON where it is JSON, else text.
fn value(written: &str) -> Value {
    serde_json::from_str(written).unwrap_or_else(|_| written.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_read_by_their_first_sign() {
        for (text, expected) in [
            ("age>=18", Filter::gte("age", 18)),
            ("age <= 1.5", Filter::lte("age", 1.5)),
            ("city=Rome", Filter::eq("city", "Rome")),
            ("zip=\"00100\"", Filter::eq("zip", "00100")),
            ("a.b!=null", Filter::ne("a.b", json!(null))),
            ("name~a=b", Filter::contains("name", "a=b")),
            ("name^=A", Filter::starts_with("name", "A")),
            ("name$=z", Filter::ends_with("name", "z")),
            ("n>-1", Filter::gt("n", -1)),
            ("ok==true", Filter::eq("ok", true)),
            ("name=", Filter::eq("name", "")),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        let tree = json!({"type": "Condition", "content": {"field": "a", "operator": "Eq", "value": 1}});
        assert_eq!(parse(&tree.to_string()), Ok(Filter::eq("a", 1)));
    }

    #[test]
    fn what_is_no_condition_is_refused_with_an_example() {
        for text in ["", "age", "=1", ">=", "{\"a\""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        /// A condition is what stands around its first sign; any other text is refused.
        #[test]
        fn any_text_is_a_condition_or_refused(
            field in "[a-z.]{1,8}", sign in proptest::sample::select(SIGNS.to_vec()), value in "[a-zé ]{0,8}", text in ".{0,30}",
        ) {
            let condition = Filter::condition(&field, sign.1, super::value(value.trim()));
            prop_assert_eq!(parse(&format!("{field}{}{value}", sign.0)), Ok(condition));
            if let Err(refused) = parse(&text) {
                prop_assert!(!refused.contains('\n'), "{refused}");
            }
        }
    }
}
