//! `tidewire backup`: the folder is copied while it is written, and the copy is served and compared.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::binary::{Server, free_address};

fn backup(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    command.arg("backup").args(arguments).env_remove("TIDEWIRE_API_KEY").stdin(Stdio::null());
    command.output().unwrap()
}

async fn back_up(data: &Path, target: &Path) -> Output {
    let (data, target) = (data.to_str().unwrap().to_owned(), target.to_str().unwrap().to_owned());
    tokio::task::spawn_blocking(move || backup(&[&target, "--data", &data])).await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

async fn insert(server: &Server, number: u64) {
    let url = format!("http://{}/api/insert/tea", server.address);
    let response =
        reqwest::Client::new().post(url).json(&json!({"id": format!("t{number:06}"), "n": number})).send();
    assert!(response.await.unwrap().status().is_success());
}

/// All records by id.
async fn records(server: &Server) -> BTreeMap<String, Value> {
    let url = format!("http://{}/api/find/tea", server.address);
    let found = reqwest::Client::new().post(url).json(&json!({"limit": 1_000_000})).send().await.unwrap();
    let found: Vec<Value> = found.json().await.unwrap();
    found.into_iter().map(|record| (record["id"].to_string(), record)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_served_and_holds_what_the_original_held() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("copy"));
    let server = Server::start(&data, free_address(), None).await;
    for number in 0..100 {
        insert(&server, number).await;
    }
    let mut written = 100;
    let taking = back_up(&data, &target);
    tokio::pin!(taking);
    let output = loop {
        tokio::select! {
            output = &mut taking => break output,
            () = insert(&server, written) => written += 1,
        }
    };
    assert!(output.status.success(), "{}", said(&output));
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let offset = line.lines().find_map(|line| line.strip_prefix("tea")).unwrap_or_else(|| panic!("{line}"));
    let offset: usize = offset.trim().strip_prefix("up to change ").unwrap().parse().unwrap();

    let copy = Server::start(&target, free_address(), None).await;
    let (all, kept) = (records(&server).await, records(&copy).await);
    assert!((100..=all.len()).contains(&offset), "{offset} of {}", all.len());
    // Only insertions were made, one after the other: what is there at an offset are the first so many.
    let expected: BTreeMap<_, _> = all.into_iter().take(offset).collect();
    assert_eq!(kept, expected);
    assert!(!data.join("backups").read_dir().unwrap().any(|_| true), "nothing is left with the original");

    let again = back_up(&data, &target).await;
    assert!(!again.status.success() && said(&again).contains("is something at"), "{}", said(&again));
}

#[tokio::test]
async fn a_folder_that_nobody_serves_is_copied_too() {
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("copy"));
    let nothing = back_up(&data, &target).await;
    assert!(!nothing.status.success() && said(&nothing).contains("no data folder"), "{}", said(&nothing));
    let server = Server::start(&data, free_address(), None).await;
    insert(&server, 1).await;
    server.kill();
    let output = back_up(&data, &target).await;
    assert!(output.status.success(), "{}", said(&output));
    let copy = Server::start(&target, free_address(), None).await;
    assert_eq!(records(&copy).await.len(), 1);
}

#[tokio::test]
async fn only_admins_take_backups() {
    let house = crate::house::House::with(|plan| {
        plan.config.api_keys = vec![crate::house::KEY.into()];
    })
    .await;
    let url = house.url("/api/backup");
    let client = reqwest::Client::new();
    assert_eq!(client.post(&url).send().await.unwrap().status(), 401);
    let reader = json!({"label": "r", "collection_permissions": {"tea": ["read"]}});
    let made =
        client.post(house.url("/api/auth/register")).bearer_auth(crate::house::KEY).json(&reader).send();
    let made: Value = made.await.unwrap().json().await.unwrap();
    let key = made["key"].as_str().unwrap_or_else(|| panic!("{made}"));
    assert_eq!(client.post(&url).bearer_auth(key).send().await.unwrap().status(), 403);
    let taken = client.post(&url).bearer_auth(crate::house::KEY).send().await.unwrap();
    assert_eq!(taken.status(), 200);
}
