//! Calls whose endpoints the server knows and has not built: each is answered with 501 and a sentence.

#![allow(clippy::useless_conversion, reason = "one version takes a text, the other an option of it")]

use serde_json::json;

use super::ekodb::UserFunction;
use super::rows::Seat;
use crate::table::unbuilt;

fn function() -> UserFunction {
    let said = json!({"label": "f", "name": "F", "parameters": {}, "functions": [], "tags": []});
    serde_json::from_value(said).expect("a function without stages")
}

fn nothing() -> serde_json::Value {
    json!({"id": "x", "name": "x"})
}

unbuilt! { Client = |seat| seat.client;
    "transactions" {
        begin_transaction("ReadCommitted".into()),
        get_transaction_status("t"),
    }
    // Of these two the crate keeps the status and drops the sentence.
    "not implemented" {
        commit_transaction("t"),
        rollback_transaction("t"),
    }
    "restor" {
        restore_deleted("people", "a"),
        restore_collection("people"),
    }
    "links" {
        kv_get_links("k"),
        kv_link("k", "people", "a"),
        kv_unlink("k", "people", "a"),
    }
    "functions" {
        save_function(function()),
        get_function("f"),
        list_functions(None),
        update_function("f", function()),
        delete_function("f"),
        call_function("f", None),
        save_user_function(function()),
        get_user_function("f"),
        list_user_functions(Some(vec!["tag".to_owned()])),
        update_user_function("f", function()),
        delete_user_function("f"),
    }
    "goals" {
        goal_create(nothing()),
        goal_list(),
        goal_get("x"),
        goal_update("x", nothing()),
        goal_delete("x"),
        goal_search("x"),
        goal_complete("x", nothing()),
        goal_approve("x"),
        goal_reject("x", nothing()),
        goal_step_start("x", 0),
        goal_step_complete("x", 0, nothing()),
        goal_step_fail("x", 0, nothing()),
    }
    "goal templates" {
        goal_template_create(nothing()),
        goal_template_list(),
        goal_template_get("x"),
        goal_template_update("x", nothing()),
        goal_template_delete("x"),
    }
    "tasks" {
        task_create(nothing()),
        task_list(),
        task_get("x"),
        task_update("x", nothing()),
        task_delete("x"),
        task_due("2026-01-01T00:00:00Z"),
        task_start("x"),
        task_succeed("x", nothing()),
        task_fail("x", nothing()),
        task_pause("x"),
        task_resume("x", nothing()),
    }
    "agents" {
        agent_create(nothing()),
        agent_list(),
        agent_get("x"),
        agent_get_by_name("x"),
        agent_update("x", nothing()),
        agent_delete("x"),
        agents_by_deployment("x"),
    }
    "schedules" {
        create_schedule(nothing()),
        list_schedules(),
        get_schedule("x"),
        update_schedule("x", nothing()),
        delete_schedule("x"),
        pause_schedule("x"),
        resume_schedule("x"),
    }
}
