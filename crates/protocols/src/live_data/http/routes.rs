//! Where what is served.

use tidewire_engine::{Code, Error, Result};

use super::{Call, Request, chats, collections, keys, managed, models, records, search, subscribe};

/// How a request asks (RFC 9110 §9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// To read.
    Get,
    /// To do.
    Post,
    /// To put in place.
    Put,
    /// To change.
    Patch,
    /// To remove.
    Delete,
}

/// One endpoint. Those that ask for keys and tokens, and for health, are the server's own.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Its name in the definition.
    pub id: &'static str,
    /// How it is asked.
    pub method: Method,
    /// Where, with parameters in braces.
    pub path: &'static str,
    serve: Serve,
}

#[derive(Debug, Clone, Copy)]
enum Serve {
    By(fn(&Request<'_>) -> Result<Box<dyn Call>>),
    /// It is not built; the area that is missing.
    Not(&'static str),
}

impl Route {
    /// Begins to answer a request.
    ///
    /// # Errors
    /// When the request is wrong as it stands, or the endpoint is not built.
    pub fn call(&self, request: &Request<'_>) -> Result<Box<dyn Call>> {
        match self.serve {
            Serve::By(serve) => serve(request),
            Serve::Not(area) => Err(not_built(area)),
        }
    }

    /// Why it is not served, if it is not: nothing of the request needs to be read.
    ///
    /// # Errors
    /// When the endpoint is not built.
    pub fn check_built(&self) -> Result<()> {
        match self.serve {
            Serve::By(_) => Ok(()),
            Serve::Not(area) => Err(not_built(area)),
        }
    }
}

fn not_built(area: &str) -> Error {
    Error::new(Code::Unimplemented, format!("{area} are not built"))
}

use Method::{Delete, Get, Patch, Post, Put};

const fn by(
    id: &'static str,
    method: Method,
    path: &'static str,
    serve: fn(&Request<'_>) -> Result<Box<dyn Call>>,
) -> Route {
    Route { id, method, path, serve: Serve::By(serve) }
}

const fn not(area: &'static str, id: &'static str, method: Method, path: &'static str) -> Route {
    Route { id, method, path, serve: Serve::Not(area) }
}

/// Every endpoint.
pub const ROUTES: &[Route] = &[
    by("GetConfig", Get, "/api/config", collections::config),
    by("SetConfig", Put, "/api/config", collections::set_config),
    by("InsertRecord", Post, "/api/insert/{collection}", records::insert),
    by("FindRecords", Post, "/api/find/{collection}", records::find),
    by("FindRecord", Get, "/api/find/{collection}/{id}", records::find_one),
    by("UpdateRecord", Put, "/api/update/{collection}/{id}", records::update),
    by("ActOnRecord", Put, "/api/update/{collection}/{id}/action/{action}", records::act),
    by("ActOnRecordInSequence", Put, "/api/update/sequence/{collection}/{id}", records::act_in_sequence),
    by("DeleteRecord", Delete, "/api/delete/{collection}/{id}", records::delete),
    by("ListDistinct", Post, "/api/distinct/{collection}/{field}", records::distinct),
    by("SearchRecords", Post, "/api/search/{collection}", search::search),
    by("SubscribeToRecords", Get, "/api/subscribe/{collection}", subscribe::subscribe),
    by("BatchDeleteRecords", Delete, "/api/batch/delete/{collection}", records::batch_delete),
    by("BatchInsertRecords", Post, "/api/batch/insert/{collection}", records::batch_insert),
    by("BatchUpdateRecords", Put, "/api/batch/update/{collection}", records::batch_update),
    by("ListCollections", Get, "/api/collections", collections::list),
    by("MakeCollection", Post, "/api/collections/{collection}", collections::make),
    by("GetCollection", Get, "/api/collections/{collection}", collections::report),
    by("DropCollection", Delete, "/api/collections/{collection}", collections::drop_one),
    by("GetSchema", Get, "/api/schemas/{collection}", collections::schema),
    by("ChangeSchema", Put, "/api/schemas/{collection}", collections::change_schema),
    by("KvSet", Post, "/api/kv/set/{key}", keys::set),
    by("KvGet", Get, "/api/kv/get/{key}", keys::get),
    by("KvDelete", Delete, "/api/kv/delete/{key}", keys::delete),
    by("KvBatchGet", Post, "/api/kv/batch/get", keys::batch_get),
    by("KvBatchSet", Post, "/api/kv/batch/set", keys::batch_set),
    by("KvBatchDelete", Delete, "/api/kv/batch/delete", keys::batch_delete),
    by("KvFind", Post, "/api/kv/find", keys::find),
    by("KvClear", Delete, "/api/kv/clear", keys::clear),
    by("StreamCompletion", Post, "/api/chat/complete/stream", models::stream),
    by("ListModels", Get, "/api/chat_models", models::list),
    by("ListModelsOf", Get, "/api/chat_models/{provider}", models::list_of),
    by("ListTools", Get, "/api/chat/tools", models::tools),
    by("ExecuteTool", Post, "/api/chat/tools/execute", models::execute_tool),
    by("Complete", Post, "/api/chat/complete", models::complete),
    by("Embed", Post, "/api/embed", models::embed),
    by("CreateChat", Post, "/api/chat", managed::create),
    by("CreateChatSession", Post, "/api/chat/sessions", managed::create),
    by("BranchChat", Post, "/api/chat/branch", managed::branch),
    by("MergeChats", Post, "/api/chat/merge", managed::merge),
    by("ListChats", Get, "/api/chat", managed::list),
    by("GetChat", Get, "/api/chat/{chat_id}", managed::get),
    by("UpdateChat", Put, "/api/chat/{chat_id}", managed::update),
    by("DeleteChat", Delete, "/api/chat/{chat_id}", managed::delete),
    by("CompactChat", Post, "/api/chat/{chat_id}/compact", managed::compact),
    by("SendChatMessage", Post, "/api/chat/{chat_id}/messages", chats::send),
    by("StreamChatMessage", Post, "/api/chat/{chat_id}/messages/stream", chats::stream),
    by("AnswerTool", Post, "/api/chat/{chat_id}/tool-result", chats::tool_result),
    by("ListChatMessages", Get, "/api/chat/{chat_id}/messages", managed::messages),
    by("GetChatMessage", Get, "/api/chat/{chat_id}/messages/{message_id}", managed::get_message),
    by("EditChatMessage", Put, "/api/chat/{chat_id}/messages/{message_id}", managed::edit_message),
    by("DeleteChatMessage", Delete, "/api/chat/{chat_id}/messages/{message_id}", managed::delete_message),
    by(
        "ForgetChatMessage",
        Patch,
        "/api/chat/{chat_id}/messages/{message_id}/forgotten",
        managed::forget_message,
    ),
    by(
        "RegenerateChatMessage",
        Post,
        "/api/chat/{chat_id}/messages/{message_id}/regenerate",
        chats::regenerate,
    ),
    not("Transactions", "BeginTransaction", Post, "/api/transactions"),
    not("Transactions", "GetTransaction", Get, "/api/transactions/{transaction_id}"),
    not("Transactions", "CommitTransaction", Post, "/api/transactions/{transaction_id}/commit"),
    not("Transactions", "RollbackTransaction", Post, "/api/transactions/{transaction_id}/rollback"),
    not("Transactions", "CreateSavepoint", Post, "/api/transactions/{transaction_id}/savepoints"),
    not(
        "Transactions",
        "RollbackToSavepoint",
        Post,
        "/api/transactions/{transaction_id}/savepoints/{name}/rollback",
    ),
    not("Transactions", "ReleaseSavepoint", Delete, "/api/transactions/{transaction_id}/savepoints/{name}"),
    not("Restoring deleted records", "RestoreRecords", Post, "/api/trash/{collection}"),
    not("Restoring deleted records", "RestoreRecord", Post, "/api/trash/{collection}/{id}"),
    not("Links between keys and records", "ListKvLinks", Get, "/api/kv/{key}/links"),
    not("Links between keys and records", "LinkKv", Post, "/api/kv/{key}/links/{collection}/{id}"),
    not("Links between keys and records", "UnlinkKv", Delete, "/api/kv/{key}/links/{collection}/{id}"),
    not("Links between keys and records", "ListKvLinksOld", Get, "/api/kv/links/{key}"),
    not("Links between keys and records", "LinkKvOld", Post, "/api/kv/link"),
    not("Links between keys and records", "UnlinkKvOld", Post, "/api/kv/unlink"),
    not("Stored functions", "ListFunctions", Get, "/api/functions"),
    not("Stored functions", "CreateFunction", Post, "/api/functions"),
    not("Stored functions", "GetFunction", Get, "/api/functions/{function}"),
    not("Stored functions", "UpdateFunction", Put, "/api/functions/{function}"),
    not("Stored functions", "DeleteFunction", Delete, "/api/functions/{function}"),
    not("Stored functions", "CallFunction", Post, "/api/functions/{function}"),
    not("Goals", "ListGoals", Get, "/api/chat/goals"),
    not("Goals", "CreateGoal", Post, "/api/chat/goals"),
    not("Goals", "SearchGoals", Get, "/api/chat/goals/search"),
    not("Goals", "GetGoal", Get, "/api/chat/goals/{goal}"),
    not("Goals", "UpdateGoal", Put, "/api/chat/goals/{goal}"),
    not("Goals", "DeleteGoal", Delete, "/api/chat/goals/{goal}"),
    not("Goals", "AdvanceGoal", Post, "/api/chat/goals/{goal}/{step}"),
    not("Goals", "AdvanceGoalStep", Post, "/api/chat/goals/{goal}/steps/{number}/{step}"),
    not("Tasks", "ListTasks", Get, "/api/chat/tasks"),
    not("Tasks", "CreateTask", Post, "/api/chat/tasks"),
    not("Tasks", "ListDueTasks", Get, "/api/chat/tasks/due"),
    not("Tasks", "GetTask", Get, "/api/chat/tasks/{task}"),
    not("Tasks", "UpdateTask", Put, "/api/chat/tasks/{task}"),
    not("Tasks", "DeleteTask", Delete, "/api/chat/tasks/{task}"),
    not("Tasks", "AdvanceTask", Post, "/api/chat/tasks/{task}/{step}"),
    not("Stored agents", "ListAgents", Get, "/api/chat/agents"),
    not("Stored agents", "CreateAgent", Post, "/api/chat/agents"),
    not("Stored agents", "GetAgentByName", Get, "/api/chat/agents/by-name/{name}"),
    not("Stored agents", "ListAgentsOfDeployment", Get, "/api/chat/agents/by-deployment/{deployment}"),
    not("Stored agents", "GetAgent", Get, "/api/chat/agents/{agent}"),
    not("Stored agents", "UpdateAgent", Put, "/api/chat/agents/{agent}"),
    not("Stored agents", "DeleteAgent", Delete, "/api/chat/agents/{agent}"),
    not("Goal templates", "ListGoalTemplates", Get, "/api/chat/goal-templates"),
    not("Goal templates", "CreateGoalTemplate", Post, "/api/chat/goal-templates"),
    not("Goal templates", "GetGoalTemplate", Get, "/api/chat/goal-templates/{template}"),
    not("Goal templates", "UpdateGoalTemplate", Put, "/api/chat/goal-templates/{template}"),
    not("Goal templates", "DeleteGoalTemplate", Delete, "/api/chat/goal-templates/{template}"),
    not("Schedules", "ListSchedules", Get, "/api/schedules"),
    not("Schedules", "CreateSchedule", Post, "/api/schedules"),
    not("Schedules", "GetSchedule", Get, "/api/schedules/{schedule}"),
    not("Schedules", "UpdateSchedule", Put, "/api/schedules/{schedule}"),
    not("Schedules", "DeleteSchedule", Delete, "/api/schedules/{schedule}"),
    not("Schedules", "AdvanceSchedule", Post, "/api/schedules/{schedule}/{step}"),
    not("Permissions at their old address", "GetPermissionsOld", Get, "/api/auth/permissions"),
    not("Permissions at their old address", "SetPermissionsOld", Put, "/api/auth/permissions"),
];
