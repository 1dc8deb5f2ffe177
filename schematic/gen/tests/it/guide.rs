//! The guide to adding a WebSocket is walked: its blocks, put together, are a definition that does what the page says.

use schematic_define::{Definition, Problem};
use schematic_gen::{Provenance, asyncapi, markdown, openapi, rust, typescript};

/// The first `count` blocks of YAML on the page, as one file.
fn file(count: usize) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/adding-a-websocket.md");
    let page = std::fs::read_to_string(path).unwrap();
    page.split("```yaml\n")
        .skip(1)
        .take(count)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(yaml, _)| yaml)
        .collect()
}

fn problems(count: usize) -> Vec<String> {
    let found = Definition::from_yaml(&file(count)).unwrap().check();
    found.err().unwrap_or_default().iter().map(Problem::to_string).collect()
}

#[test]
fn the_rest_part_stands_for_itself_and_so_do_its_types() {
    assert_eq!(problems(1), [""; 0]);
    assert_eq!(problems(2), [""; 0]);
}

#[test]
fn messages_without_recognition_are_listed() {
    let found = problems(3);
    assert_eq!(found.len(), 6, "{found:#?}");
    assert!(found.iter().all(|problem| problem.contains("nothing says how it is recognised")), "{found:#?}");
}

#[test]
fn the_whole_is_accepted_and_everything_comes_from_it() {
    assert_eq!(problems(5), [""; 0]);
    let definition = Definition::from_yaml(&file(5)).unwrap();
    let provenance = Provenance::new("schematic generate", "rooms.yaml");
    let client = typescript::client(&definition, &provenance).unwrap();
    assert_eq!(client[0].0, "rooms.ts");
    for line in
        ["export class TalkClient", "  join(body: Join)", "  post(body: Post)", "env: [\"ROOMS_API_KEY\"]"]
    {
        assert!(client[0].1.contains(line), "{line} is missing in:\n{}", client[0].1);
    }
    assert!(rust::wire_types(&definition, &provenance).is_ok());
    assert!(markdown::reference(&definition, &provenance).is_ok());
    assert!(asyncapi::document(&definition).is_ok());
    assert!(openapi::document(&definition).is_ok());
}
