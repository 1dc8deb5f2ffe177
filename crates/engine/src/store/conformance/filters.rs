//! Filters, sorts, limits.

use serde_json::{Value, json};

use super::{code, insert};
use crate::error::Code;
use crate::query::{Filter, Operator, Query, Sort};
use crate::store::Store;

async fn fitting(store: &impl Store, filter: Filter) -> String {
    let query = Query::all("c", 100).filter(filter.clone());
    let found = store.query(&query).await.unwrap_or_else(|error| panic!("{filter:?}: {error:?}"));
    assert_eq!(store.count("c", Some(&filter)).await.unwrap(), found.len() as u64);
    found.into_iter().map(|record| record.id.0).collect::<Vec<_>>().join(" ")
}

fn is(operator: Operator, value: impl Into<Value>) -> Filter {
    Filter::compare("v", operator, value)
}

pub(super) async fn filters_follow_json_types(store: &impl Store) {
    let values = [
        ("a", json!({"v": 1})),
        ("b", json!({"v": 2.5})),
        ("c", json!({"v": "1"})),
        ("d", json!({"v": "Über 10 % Rabatt_"})),
        ("e", json!({"v": true})),
        ("f", json!({"v": false})),
        ("g", json!({"v": null})),
        ("h", json!({})),
        ("i", json!({"v": ["x", 1, null]})),
        ("j", json!({"v": {"w": "deep"}})),
        ("k", json!({"v": ""})),
    ];
    for (id, value) in values {
        insert(store, "c", id, value).await;
    }
    let check = async |filter: Filter, expected: &str| {
        assert_eq!(fitting(store, filter.clone()).await, expected, "{filter:?}");
        let rest: Vec<_> =
            "abcdefghijk".chars().filter(|id| !expected.contains(*id)).map(String::from).collect();
        assert_eq!(
            fitting(store, Filter::Not(Box::new(filter.clone()))).await,
            rest.join(" "),
            "not {filter:?}"
        );
    };
    check(is(Operator::Eq, 1), "a").await;
    check(is(Operator::Eq, 1.0), "a").await;
    check(is(Operator::Eq, "1"), "c").await;
    check(is(Operator::Eq, true), "e").await;
    check(is(Operator::Eq, Value::Null), "g h").await;
    check(is(Operator::Eq, json!(["x", 1, null])), "i").await;
    check(is(Operator::Eq, json!({"w": "deep"})), "j").await;
    check(is(Operator::Ne, 1), "b c d e f g h i j k").await;
    check(is(Operator::Ne, Value::Null), "a b c d e f i j k").await;
    check(is(Operator::Gt, 1), "b").await;
    check(is(Operator::Gte, 1), "a b").await;
    check(is(Operator::Lt, 2.5), "a").await;
    check(is(Operator::Lte, "1"), "c k").await;
    check(is(Operator::Lt, true), "f").await;
    check(is(Operator::In, json!([1, "1", true, null])), "a c e g h").await;
    check(is(Operator::In, json!([])), "").await;
    check(is(Operator::NotIn, json!([1, 2.5, "1"])), "d e f g h i j k").await;
    check(is(Operator::ContainsFolded, "10 % rabatt_"), "d").await;
    check(is(Operator::ContainsFolded, "x"), "i").await;
    check(is(Operator::ContainsFolded, 1), "i").await;
    check(is(Operator::ContainsFolded, Value::Null), "i").await;
    check(is(Operator::StartsWith, "Üb"), "d").await;
    check(is(Operator::StartsWith, "üb"), "").await;
    check(is(Operator::StartsWith, ""), "c d k").await;
    check(is(Operator::EndsWith, "t_"), "d").await;
    check(is(Operator::EndsWith, ""), "c d k").await;
    check(is(Operator::Exists, true), "a b c d e f g i j k").await;
    check(is(Operator::Exists, false), "h").await;
    check(Filter::eq("v.w", "deep"), "j").await;
    check(Filter::eq("id", "c"), "c").await;
    check(Filter::compare("id", Operator::Gte, "j"), "j k").await;
    check(Filter::compare("id", Operator::ContainsFolded, "A"), "a").await;
    check(Filter::And(vec![]), "a b c d e f g h i j k").await;
    check(Filter::Or(vec![]), "").await;
    check(Filter::And(vec![is(Operator::Gt, 1), is(Operator::Lt, 3)]), "b").await;
    check(Filter::Or(vec![is(Operator::Gt, 1), is(Operator::Eq, "1")]), "b c").await;
}

pub(super) async fn sorts_limits_and_skips(store: &impl Store) {
    let values = [
        ("a", json!({"v": "b", "g": 1})),
        ("b", json!({"v": 10, "g": 1})),
        ("c", json!({"v": true, "g": 2})),
        ("d", json!({"g": 2})),
        ("e", json!({"v": 9.5, "g": 1})),
        ("f", json!({"v": "B", "g": 2})),
    ];
    for (id, value) in values {
        insert(store, "c", id, value).await;
    }
    let sort = |field: &str, descending| Sort { field: field.into(), descending };
    let check = async |sort: Vec<Sort>, skip, limit, expected: &str| {
        let query = Query { sort, skip, ..Query::all("c", limit) };
        let found = store.query(&query).await.unwrap();
        let ids: Vec<_> = found.into_iter().map(|record| record.id.0).collect();
        assert_eq!(ids.join(" "), expected, "{query:?}");
    };
    check(vec![], 0, 100, "a b c d e f").await;
    check(vec![sort("v", false)], 0, 100, "d c e b f a").await;
    check(vec![sort("v", true)], 0, 100, "a f b e c d").await;
    check(vec![sort("g", true), sort("v", false)], 0, 100, "d c f e b a").await;
    check(vec![sort("id", true)], 1, 2, "e d").await;
    check(vec![sort("nothing", true)], 0, usize::MAX, "a b c d e f").await;
    check(vec![], usize::MAX, usize::MAX, "").await;
    check(vec![], 0, 0, "").await;
}

/// Names and values that would be something else in SQL, in a JSON path, or in a pattern.
const ODD: &[&str] = &[
    "it's",
    "a\"b",
    "a\\b",
    "$",
    "$v",
    "[0]",
    "a[0]",
    "a b",
    "ä🦀",
    "?",
    "?1",
    ":x",
    "@y",
    "--",
    "/*",
    ";",
    "%",
    "_",
    "' OR 1=1 --",
    "\u{0}",
    "a\u{0}b",
    "\n",
    "#-1",
    "*",
    "body",
    "collection",
    "null",
    "v\u{7f}",
    "{",
    "}",
    "\\u0041",
];

pub(super) async fn names_are_never_syntax(store: &impl Store) {
    for (number, name) in ODD.iter().enumerate() {
        insert(store, "c", &format!("{number:02}"), json!({*name: *name, "in": {*name: {"side": number}}}))
            .await;
    }
    for (number, name) in ODD.iter().enumerate() {
        let expected = format!("{number:02}");
        let check = async |filter: Filter| {
            assert_eq!(fitting(store, filter.clone()).await, expected, "{filter:?}");
        };
        check(Filter::compare(*name, Operator::Exists, true)).await;
        check(Filter::eq(format!("in.{name}.side"), number)).await;
        check(Filter::compare(*name, Operator::StartsWith, *name)).await;
        check(Filter::compare(*name, Operator::ContainsFolded, *name)).await;
        check(Filter::compare(*name, Operator::In, json!([name]))).await;
        check(Filter::compare(*name, Operator::Eq, *name)).await;
        let sorted = Query { limit: 1, ..Query::all("c", 1).sort(*name) };
        assert_eq!(store.query(&sorted).await.unwrap().len(), 1);
    }
}

pub(super) async fn unusable_filters_are_refused(store: &impl Store) {
    let mut deep = is(Operator::Eq, 1);
    for _ in 0..100 {
        deep = Filter::Not(Box::new(deep));
    }
    let refused = [
        is(Operator::Gt, Value::Null),
        is(Operator::Lt, json!([1])),
        is(Operator::In, 1),
        is(Operator::NotIn, json!({"a": 1})),
        is(Operator::StartsWith, 1),
        is(Operator::Exists, "yes"),
        is(Operator::ContainsFolded, json!({})),
        Filter::eq("", 1),
        Filter::eq("x".repeat(10_000), 1),
        Filter::And(vec![is(Operator::Eq, 1); 5_000]),
        is(Operator::In, vec![1; 100_000]),
        deep,
    ];
    for filter in refused {
        let query = Query::all("c", 1).filter(filter.clone());
        assert_eq!(code(store.query(&query).await), Some(Code::Invalid), "{filter:?}");
        assert_eq!(code(store.count("c", Some(&filter)).await), Some(Code::Invalid), "{filter:?}");
    }
    let many_sorts =
        Query { sort: vec![Sort { field: "a".into(), descending: false }; 50], ..Query::all("c", 1) };
    assert_eq!(code(store.query(&many_sorts).await), Some(Code::Invalid));
    let wide = Filter::Or((0..200).map(|number| is(Operator::Eq, number)).collect());
    assert_eq!(store.count("c", Some(&wide)).await.unwrap(), 0);
    assert_eq!(store.count("c", Some(&is(Operator::In, vec!["x"; 9_000]))).await.unwrap(), 0);
}
