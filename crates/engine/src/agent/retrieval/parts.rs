//! What the parts of a passage mean: a vector for each of its sentences, to be looked at more closely than the
//! passage's own, which is about all of them at once.
//!
//! They are kept in the passage's record, where they come and go with it. A vector has one byte a number, and six
//! bytes are one integer of JSON, because numbers are no words of a search and integers of that size are kept whole.

use serde_json::Value;

/// The member of a passage's record that holds them.
pub const PARTS: &str = "parts";
/// So many bytes are one integer.
const PACKED: usize = 6;
/// What is added to a byte, so that none is negative.
const MIDDLE: i64 = 128;

/// A vector as it is kept, one behind the other; its length is lost, its direction is not.
pub fn packed(vector: &[f32]) -> Vec<Value> {
    let largest = vector.iter().fold(f32::EPSILON, |largest, number| largest.max(number.abs()));
    let byte = |number: &f32| (number / largest * 127.0).round() as i64 + MIDDLE;
    let integer = |six: &[f32]| six.iter().rev().fold(0, |packed, number| packed << 8 | byte(number));
    vector.chunks(PACKED).map(|six| integer(six).into()).collect()
}

/// How near the nearest of the parts is to a question, as a cosine; `None` if there is none to compare with.
pub(super) fn nearest(parts: &Value, question: &[f32]) -> Option<f64> {
    let parts = parts.as_array()?.chunks_exact(question.len().div_ceil(PACKED).max(1));
    parts.filter_map(|part| cosine(part, question)).max_by(f64::total_cmp)
}

fn cosine(part: &[Value], question: &[f32]) -> Option<f64> {
    let (mut dot, mut own, mut asked) = (0.0, 0.0, 0.0);
    for (packed, six) in part.iter().zip(question.chunks(PACKED)) {
        let packed = packed.as_i64()?;
        for (place, number) in six.iter().enumerate() {
            let byte = ((packed >> (8 * place) & 0xff) - MIDDLE) as f32;
            (dot, own, asked) = (dot + byte * number, own + byte * byte, asked + number * number);
        }
    }
    let lengths = own.sqrt() * asked.sqrt();
    (lengths > 0.0).then(|| f64::from(dot / lengths))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_keeps_its_direction(
            vector in prop::collection::vec(-1.0_f32..1.0, 384),
            other in prop::collection::vec(-1.0_f32..1.0, 384),
        ) {
            let length = |v: &[f32]| v.iter().map(|n| n * n).sum::<f32>().sqrt();
            let dot: f32 = vector.iter().zip(&other).map(|(a, b)| a * b).sum();
            let exact = f64::from(dot / (length(&vector) * length(&other)));
            let near = cosine(&packed(&vector), &other).unwrap();
            prop_assert!((near - exact).abs() < 0.005, "{near} {exact}");
        }
    }

    #[test]
    fn the_nearest_part_counts_and_what_is_none_does_not() {
        let question = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let away = packed(&[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let near = packed(&[3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
        let found =
            nearest(&Value::from([away, near, vec![json!("x"), json!(1)]].concat()), &question).unwrap();
        assert!((found - 0.6).abs() < 0.01, "{found}");
        for none in [json!([]), json!(null), json!([0.5, 1]), json!(["a", "b"]), json!([1]), json!("x")] {
            assert_eq!(nearest(&none, &question), None);
        }
        assert_eq!(nearest(&packed(&[0.0; 7]).into(), &question), None);
        assert_eq!(nearest(&json!([1, 2]), &[]), None);
    }
}
