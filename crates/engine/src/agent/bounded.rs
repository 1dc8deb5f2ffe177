//! Tool results that fit.
//!
//! A result that is too long is shortened where it can be (its longest list) and says what was left out, so that
//! neither a model nor a person takes a part for the whole.

use serde_json::{Map, Value, json};

/// The result as JSON text of at most about `limit` bytes.
pub(crate) fn fit(result: &Value, limit: usize) -> String {
    let whole = result.to_string();
    if whole.len() <= limit {
        return whole;
    }
    shorten(result, limit).unwrap_or_else(|| beginning(&whole, limit))
}

/// Cuts the longest list of an object until the whole fits.
fn shorten(result: &Value, limit: usize) -> Option<String> {
    let members = result.as_object()?;
    let (name, list) = longest_list(members)?;
    let mut short = members.clone();
    short.insert(name.to_owned(), Value::Array(Vec::new()));
    short.insert(String::from("left_out"), json!({name: list.len()}));
    let frame = Value::Object(short.clone()).to_string().len();
    let kept = count_that_fits(list, limit.checked_sub(frame)?);
    short.insert(name.to_owned(), Value::Array(list[..kept].to_vec()));
    short.insert(String::from("left_out"), json!({name: list.len() - kept}));
    Some(Value::Object(short).to_string())
}

fn longest_list(members: &Map<String, Value>) -> Option<(&str, &Vec<Value>)> {
    let lists = members.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_array()?)));
    lists.max_by_key(|(_, list)| list.iter().map(|item| item.to_string().len()).sum::<usize>())
}

fn count_that_fits(list: &[Value], mut room: usize) -> usize {
    let fits = |item: &&Value| {
        let left = room.checked_sub(item.to_string().len() + 1);
        room = left.unwrap_or_default();
        left.is_some()
    };
    list.iter().take_while(fits).count()
}

/// What has no list that could be cut shows how it begins.
fn beginning(whole: &str, limit: usize) -> String {
    let mut end = (limit / 2).min(whole.len()); // escaping the text again makes it longer, seldom by half
    while !whole.is_char_boundary(end) {
        end -= 1;
    }
    json!({"beginning": &whole[..end], "left_out": {"bytes": whole.len() - end}}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_result_stays_as_it_is() {
        assert_eq!(fit(&json!({"a": [1, 2]}), 100), r#"{"a":[1,2]}"#);
    }

    #[test]
    fn the_longest_list_is_cut_and_counted() {
        let rows: Vec<_> = (0..1000).map(|n| json!({"n": n})).collect();
        let text = fit(&json!({"few": [1], "rows": rows, "total": 1000}), 500);
        assert!(text.len() <= 500, "{}", text.len());
        let value: Value = serde_json::from_str(&text).unwrap();
        let kept = value["rows"].as_array().unwrap().len();
        assert!(kept > 30);
        assert_eq!(value["left_out"]["rows"], 1000 - kept);
        assert_eq!((&value["few"][0], &value["total"]), (&json!(1), &json!(1000)));
    }

    #[test]
    fn what_has_no_list_shows_its_beginning() {
        for result in
            [json!("ü".repeat(1000)), json!({"text": "ü".repeat(1000), "rows": [1]}), json!(vec!["x"; 500])]
        {
            let text = fit(&result, 300);
            assert!(text.len() <= 400, "{}", text.len());
            let value: Value = serde_json::from_str(&text).unwrap();
            assert!(value["beginning"].is_string() && value["left_out"]["bytes"].is_u64());
        }
    }
}
