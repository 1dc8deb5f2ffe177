//! The endpoints over HTTP.
//!
//! Bodies are JSON or, under `application/msgpack`, MessagePack of the same shapes, where records may also come as
//! arrays of their members in order. Answers follow the request's `Accept`.

use schematic_define::prelude::*;

/// The whole API.
pub(super) fn rest() -> RestApi {
    RestApi {
        name: "LiveData".into(),
        description: "Records, collections, keys and values, and chats, request by request".into(),
        base_url: "http://localhost:8080".into(),
        docs_url: None,
        auth: AuthStrategy::BearerToken { header: None },
        env_auth: vec!["TIDEWIRE_API_KEY".into()],
        env_username: None,
        headers: vec![],
        endpoints: [
            access(),
            grants(),
            records(),
            batches(),
            collections(),
            key_values(),
            models(),
            chats(),
            messages(),
            not_built(),
        ]
        .concat(),
    }
}

/// An endpoint; path parameters are described by their names.
fn endpoint(id: &str, method: RestMethod, path: &str, description: &str, answer: ApiResponse) -> Endpoint {
    Endpoint::new(id, method, path, description, or_error(answer))
}

fn get(id: &str, path: &str, description: &str, answer: &str) -> Endpoint {
    endpoint(id, RestMethod::Get, path, description, json(answer))
}

fn delete(id: &str, path: &str, description: &str, answer: &str) -> Endpoint {
    endpoint(id, RestMethod::Delete, path, description, json(answer))
}

fn post(id: &str, path: &str, description: &str, body: &str, answer: &str) -> Endpoint {
    with_body(endpoint(id, RestMethod::Post, path, description, json(answer)), body)
}

fn put(id: &str, path: &str, description: &str, body: &str, answer: &str) -> Endpoint {
    with_body(endpoint(id, RestMethod::Put, path, description, json(answer)), body)
}

fn patch(id: &str, path: &str, description: &str, body: &str, answer: &str) -> Endpoint {
    with_body(endpoint(id, RestMethod::Patch, path, description, json(answer)), body)
}

fn with_body(endpoint: Endpoint, body: &str) -> Endpoint {
    Endpoint { request: Some(ApiRequest::Json(Schema::new(body))), ..endpoint }
}

fn with_params<const N: usize>(endpoint: Endpoint, params: [RestParam; N]) -> Endpoint {
    Endpoint { params: params.into(), ..endpoint }
}

fn json(type_name: &str) -> ApiResponse {
    ApiResponse::Json(Schema::new(type_name))
}

fn events(item: &str) -> ApiResponse {
    ApiResponse::Stream { format: StreamFormat::ServerSentEvents, item: Schema::new(item) }
}

fn or_error(answer: ApiResponse) -> ApiResponse {
    let failure = |status, description: &str| StatusResponse {
        status,
        description: description.into(),
        body: json("Failure"),
    };
    ApiResponse::PerStatus(vec![
        StatusResponse { status: 200, description: "It is done".into(), body: answer },
        failure(400, "The request is wrong as it stands"),
        failure(401, "The token is missing, wrong or expired"),
        failure(403, "The key may not do this"),
        failure(404, "There is no such thing"),
        failure(409, "Somebody else was first, or the name is taken"),
        failure(413, "The request or its answer is beyond a limit"),
        failure(429, "Too many requests; Retry-After says when to come back"),
        failure(503, "Not now; come back later"),
    ])
}

fn param(name: &str, place: ParamPlace, param_type: ParamType, description: &str) -> RestParam {
    RestParam {
        name: name.into(),
        place,
        param_type,
        required: place == ParamPlace::Path,
        default: None,
        description: description.into(),
    }
}

fn text(name: &str, description: &str) -> RestParam {
    param(name, ParamPlace::Query, ParamType::String, description)
}

fn number(name: &str, description: &str) -> RestParam {
    param(name, ParamPlace::Query, ParamType::Integer, description)
}

fn flag(name: &str, description: &str) -> RestParam {
    param(name, ParamPlace::Query, ParamType::Boolean, description)
}

fn bypass_ripple() -> RestParam {
    flag("bypass_ripple", "Accepted, without effect")
}

fn bypass_cache() -> RestParam {
    flag("bypass_cache", "Accepted, without effect")
}

fn transaction_id() -> RestParam {
    text("transaction_id", "Answered with 501: transactions are not built")
}

fn select_fields() -> RestParam {
    text("select_fields", "Only these members, and the id; names separated by commas")
}

fn exclude_fields() -> RestParam {
    text("exclude_fields", "All members but these; names separated by commas")
}

fn access() -> Vec<Endpoint> {
    vec![
        post(
            "GetToken",
            "/api/auth/token",
            "Trades a key for a token; needs no token itself",
            "TokenRequest",
            "Token",
        ),
        get("Health", "/api/health", "Whether the server works; needs no token", "HealthReport"),
        get("GetConfig", "/api/config", "Settings that can be changed while the server runs", "Config"),
        put("SetConfig", "/api/config", "Changes them; takes an admin key", "Config", "ConfigChanged"),
        post(
            "RegisterKey",
            "/api/auth/register",
            "Makes a key; takes an admin key",
            "KeyRequest",
            "KeyRecord",
        ),
        get(
            "ListKeys",
            "/api/auth/keys",
            "All keys, without their secrets; takes an admin key",
            "KeyRecords",
        ),
        delete("DeleteKey", "/api/auth/keys/{key}", "Revokes a key by its id; takes an admin key", "Done"),
        get(
            "GetPermissions",
            "/api/auth/keys/{key}/permissions",
            "What a key may do; `me` is the asker's own",
            "Permissions",
        ),
    ]
}

/// Single grants of a key.
fn grants() -> Vec<Endpoint> {
    let collections = "/api/auth/keys/{key}/permissions/collections";
    let collection = "/api/auth/keys/{key}/permissions/collections/{collection}";
    let (kv, prefix) =
        ("/api/auth/keys/{key}/permissions/kv", "/api/auth/keys/{key}/permissions/kv/{prefix}");
    let listed = || text("prefix", "Only the grant of this prefix");
    vec![
        get("ListCollectionGrants", collections, "What a key may do, by collection", "CollectionGrants"),
        get("GetCollectionGrant", collection, "What a key may do with a collection", "Grant"),
        put("SetCollectionGrant", collection, "Grants it; takes an admin key", "GrantRequest", "GrantChange"),
        patch(
            "ChangeCollectionGrant",
            collection,
            "Changes the grant, what is left out stays; takes an admin key",
            "GrantPatch",
            "GrantChange",
        ),
        delete("RemoveCollectionGrant", collection, "Takes it away; takes an admin key", "GrantChange"),
        with_params(
            get("ListKvGrants", kv, "What a key may do with the key-value store", "KvGrants"),
            [listed()],
        ),
        get("GetKvGrant", prefix, "The same for all keys; the prefix is `*`", "KvGrant"),
        put("SetKvGrant", prefix, "Grants it; takes an admin key", "GrantRequest", "KvGrantChange"),
        patch(
            "ChangeKvGrant",
            prefix,
            "Changes the grant, what is left out stays; takes an admin key",
            "GrantPatch",
            "KvGrantChange",
        ),
        delete("RemoveKvGrant", prefix, "Takes it away; takes an admin key", "KvGrantChange"),
    ]
}

fn records() -> Vec<Endpoint> {
    let one = "/api/update/{collection}/{id}";
    vec![
        with_params(
            post("InsertRecord", "/api/insert/{collection}", "Writes a new record", "Record", "Inserted"),
            [bypass_ripple(), transaction_id(), bypass_cache()],
        ),
        with_params(
            post(
                "FindRecords",
                "/api/find/{collection}",
                "Records that fit, in an order",
                "FindRequest",
                "Records",
            ),
            [bypass_ripple(), transaction_id()],
        ),
        with_params(
            get("FindRecord", "/api/find/{collection}/{id}", "One record", "Record"),
            [bypass_ripple(), transaction_id(), select_fields(), exclude_fields()],
        ),
        with_params(
            put(
                "UpdateRecord",
                one,
                "Changes members of a record; answers with the whole record",
                "Record",
                "Record",
            ),
            [bypass_ripple(), transaction_id(), bypass_cache(), select_fields(), exclude_fields()],
        ),
        put(
            "ActOnRecord",
            "/api/update/{collection}/{id}/action/{action}",
            "Changes a member by what it is",
            "ActionRequest",
            "Record",
        ),
        put(
            "ActOnRecordInSequence",
            "/api/update/sequence/{collection}/{id}",
            "Changes members by what they are, all or none",
            "ActionSequence",
            "Record",
        ),
        with_params(
            delete(
                "DeleteRecord",
                "/api/delete/{collection}/{id}",
                "Removes a record; answers with it as it was",
                "Record",
            ),
            [bypass_ripple(), transaction_id()],
        ),
        post(
            "ListDistinct",
            "/api/distinct/{collection}/{field}",
            "The different values of a member, sorted",
            "DistinctRequest",
            "DistinctReply",
        ),
        post(
            "SearchRecords",
            "/api/search/{collection}",
            "Searches by words, by nearness, or by both",
            "SearchRequest",
            "SearchReply",
        ),
        with_params(
            endpoint(
                "SubscribeToRecords",
                RestMethod::Get,
                "/api/subscribe/{collection}",
                "Changes as they happen: first the event `subscribed`, then `mutation`, `schema_changed`, `gap` and `snapshot`; an event `error` is the last one",
                events("MutationNotification"),
            ),
            [
                text("filter_field", "Only records whose member of this name …"),
                text("filter_value", "… has this value"),
                number("after_offset", "Since this offset; the header Last-Event-ID says the same"),
            ],
        ),
    ]
}

fn batches() -> Vec<Endpoint> {
    let remove = delete(
        "BatchDeleteRecords",
        "/api/batch/delete/{collection}",
        "Removes records, each for itself",
        "BatchReply",
    );
    [
        post(
            "BatchInsertRecords",
            "/api/batch/insert/{collection}",
            "Writes records, each for itself",
            "BatchInsertRequest",
            "BatchReply",
        ),
        put(
            "BatchUpdateRecords",
            "/api/batch/update/{collection}",
            "Changes records, each for itself",
            "BatchUpdateRequest",
            "BatchReply",
        ),
        with_body(remove, "BatchDeleteRequest"),
    ]
    .map(|endpoint| with_params(endpoint, [transaction_id()]))
    .into()
}

fn collections() -> Vec<Endpoint> {
    let path = "/api/collections/{collection}";
    vec![
        with_params(
            get(
                "ListCollections",
                "/api/collections",
                "The names of the collections that the asker may read",
                "Collections",
            ),
            [flag("exclude_internal", "Accepted; names that begin with `_` are never listed")],
        ),
        post(
            "MakeCollection",
            path,
            "Makes a collection; a conflict if it has a schema already",
            "CollectionSchema",
            "Done",
        ),
        get("GetCollection", path, "A collection's schema and figures", "CollectionReport"),
        delete("DropCollection", path, "Removes a collection with its records", "Done"),
        get(
            "GetSchema",
            "/api/schemas/{collection}",
            "What a collection's records must be",
            "CollectionSchema",
        ),
        put(
            "ChangeSchema",
            "/api/schemas/{collection}",
            "Changes what members must be; refused if a record does not fit",
            "SchemaChange",
            "CollectionSchema",
        ),
    ]
}

fn key_values() -> Vec<Endpoint> {
    vec![
        post("KvSet", "/api/kv/set/{key}", "Writes a value", "KvPut", "Done"),
        get("KvGet", "/api/kv/get/{key}", "Reads a value; 404 if it is not there or has expired", "KvValue"),
        delete("KvDelete", "/api/kv/delete/{key}", "Removes a value", "Done"),
        post(
            "KvBatchGet",
            "/api/kv/batch/get",
            "Reads values, in the keys' order; `{}` stands for one that is not there",
            "KvKeys",
            "KvObjects",
        ),
        post("KvBatchSet", "/api/kv/batch/set", "Writes values", "KvBatch", "KvOutcomes"),
        with_body(delete("KvBatchDelete", "/api/kv/batch/delete", "Removes values", "KvOutcomes"), "KvKeys"),
        post("KvFind", "/api/kv/find", "The pairs whose keys fit", "KvSearch", "KvPairs"),
        delete("KvClear", "/api/kv/clear", "Removes all pairs", "Done"),
    ]
}

fn models() -> Vec<Endpoint> {
    let stream = endpoint(
        "StreamCompletion",
        RestMethod::Post,
        "/api/chat/complete/stream",
        "The same, as it is written",
        events("CompletionEvent"),
    );
    vec![
        get("ListModels", "/api/chat_models", "The models that can be asked, by provider", "ModelList"),
        get("ListModelsOf", "/api/chat_models/{provider}", "The models of one provider", "Names"),
        get("ListTools", "/api/chat/tools", "The server's tools", "ToolSpecs"),
        post(
            "ExecuteTool",
            "/api/chat/tools/execute",
            "Calls one of the server's tools",
            "ToolRequest",
            "ToolReply",
        ),
        post(
            "Complete",
            "/api/chat/complete",
            "Asks a model once, without a chat",
            "RawComplete",
            "Completion",
        ),
        with_body(stream, "RawComplete"),
        post("Embed", "/api/embed", "Turns texts into vectors", "EmbedRequest", "EmbedReply"),
    ]
}

fn chats() -> Vec<Endpoint> {
    let path = "/api/chat/{chat_id}";
    vec![
        post("CreateChat", "/api/chat", "Opens a chat", "ChatRequest", "ChatResponse"),
        post("CreateChatSession", "/api/chat/sessions", "The same", "ChatRequest", "ChatResponse"),
        post(
            "BranchChat",
            "/api/chat/branch",
            "Opens a chat that begins with another one's messages",
            "ChatRequest",
            "ChatResponse",
        ),
        post(
            "MergeChats",
            "/api/chat/merge",
            "Puts the messages of chats into another one",
            "MergeRequest",
            "ChatReport",
        ),
        with_params(
            get("ListChats", "/api/chat", "The asker's chats", "ChatList"),
            paging("`asc` is oldest first; absent, what was used last comes first"),
        ),
        get("GetChat", path, "A chat's settings", "ChatReport"),
        put("UpdateChat", path, "Changes them", "ChatUpdate", "ChatReport"),
        delete("DeleteChat", path, "Ends a chat for good", "Done"),
        post(
            "CompactChat",
            "/api/chat/{chat_id}/compact",
            "Sums up old messages for the model",
            "CompactRequest",
            "CompactReply",
        ),
        post(
            "SendChatMessage",
            "/api/chat/{chat_id}/messages",
            "Says something and waits for the whole answer",
            "ChatMessageRequest",
            "ChatResponse",
        ),
        with_body(
            endpoint(
                "StreamChatMessage",
                RestMethod::Post,
                "/api/chat/{chat_id}/messages/stream",
                "Says something and gets the answer as it is written",
                events("ChatStreamEvent"),
            ),
            "ChatMessageRequest",
        ),
        post(
            "AnswerTool",
            "/api/chat/{chat_id}/tool-result",
            "Says what a client's tool did, or agrees to a call",
            "ToolResult",
            "Done",
        ),
    ]
}

fn paging(sort: &str) -> [RestParam; 3] {
    [number("limit", "At most so many"), number("skip", "After so many"), text("sort", sort)]
}

fn messages() -> Vec<Endpoint> {
    let path = "/api/chat/{chat_id}/messages/{message_id}";
    vec![
        with_params(
            get("ListChatMessages", "/api/chat/{chat_id}/messages", "A chat's messages", "ChatMessages"),
            paging("`desc` is newest first; absent, oldest come first"),
        ),
        get("GetChatMessage", path, "One message", "Record"),
        put("EditChatMessage", path, "Gives a message another text", "MessageEdit", "Record"),
        delete("DeleteChatMessage", path, "Shows a message to nobody any more", "Done"),
        with_body(
            endpoint(
                "ForgetChatMessage",
                RestMethod::Patch,
                "/api/chat/{chat_id}/messages/{message_id}/forgotten",
                "Shows a message to the model no longer, or again",
                json("Record"),
            ),
            "ForgetRequest",
        ),
        endpoint(
            "RegenerateChatMessage",
            RestMethod::Post,
            "/api/chat/{chat_id}/messages/{message_id}/regenerate",
            "Answers a question anew",
            json("ChatResponse"),
        ),
    ]
}

/// What clients know and this server does not do. Each answers 501 with a sentence, so that a caller learns it at once.
fn not_built() -> Vec<Endpoint> {
    NOT_BUILT
        .iter()
        .flat_map(|(area, routes)| routes.iter().map(|(id, method, path)| unbuilt(area, id, *method, path)))
        .collect()
}

fn unbuilt(area: &str, id: &str, method: RestMethod, path: &str) -> Endpoint {
    let answer =
        StatusResponse { status: 501, description: format!("{area} are not built"), body: json("Failure") };
    Endpoint::new(id, method, path, format!("{area} are not built"), ApiResponse::PerStatus(vec![answer]))
}

type Route = (&'static str, RestMethod, &'static str);

use RestMethod::{Delete, Get, Post, Put};

const NOT_BUILT: &[(&str, &[Route])] = &[
    (
        "Permissions at their old address",
        &[
            ("GetPermissionsOld", Get, "/api/auth/permissions"),
            ("SetPermissionsOld", Put, "/api/auth/permissions"),
        ],
    ),
    (
        "Transactions",
        &[
            ("BeginTransaction", Post, "/api/transactions"),
            ("GetTransaction", Get, "/api/transactions/{transaction_id}"),
            ("CommitTransaction", Post, "/api/transactions/{transaction_id}/commit"),
            ("RollbackTransaction", Post, "/api/transactions/{transaction_id}/rollback"),
            ("CreateSavepoint", Post, "/api/transactions/{transaction_id}/savepoints"),
            ("RollbackToSavepoint", Post, "/api/transactions/{transaction_id}/savepoints/{name}/rollback"),
            ("ReleaseSavepoint", Delete, "/api/transactions/{transaction_id}/savepoints/{name}"),
        ],
    ),
    (
        "Restoring deleted records",
        &[
            ("RestoreRecords", Post, "/api/trash/{collection}"),
            ("RestoreRecord", Post, "/api/trash/{collection}/{id}"),
        ],
    ),
    (
        "Links between keys and records",
        &[
            ("ListKvLinks", Get, "/api/kv/{key}/links"),
            ("LinkKv", Post, "/api/kv/{key}/links/{collection}/{id}"),
            ("UnlinkKv", Delete, "/api/kv/{key}/links/{collection}/{id}"),
            ("ListKvLinksOld", Get, "/api/kv/links/{key}"),
            ("LinkKvOld", Post, "/api/kv/link"),
            ("UnlinkKvOld", Post, "/api/kv/unlink"),
        ],
    ),
    (
        "Stored functions",
        &[
            ("ListFunctions", Get, "/api/functions"),
            ("CreateFunction", Post, "/api/functions"),
            ("GetFunction", Get, "/api/functions/{function}"),
            ("UpdateFunction", Put, "/api/functions/{function}"),
            ("DeleteFunction", Delete, "/api/functions/{function}"),
            ("CallFunction", Post, "/api/functions/{function}"),
        ],
    ),
    (
        "Goals",
        &[
            ("ListGoals", Get, "/api/chat/goals"),
            ("CreateGoal", Post, "/api/chat/goals"),
            ("SearchGoals", Get, "/api/chat/goals/search"),
            ("GetGoal", Get, "/api/chat/goals/{goal}"),
            ("UpdateGoal", Put, "/api/chat/goals/{goal}"),
            ("DeleteGoal", Delete, "/api/chat/goals/{goal}"),
            ("AdvanceGoal", Post, "/api/chat/goals/{goal}/{step}"),
            ("AdvanceGoalStep", Post, "/api/chat/goals/{goal}/steps/{number}/{step}"),
        ],
    ),
    (
        "Tasks",
        &[
            ("ListTasks", Get, "/api/chat/tasks"),
            ("CreateTask", Post, "/api/chat/tasks"),
            ("ListDueTasks", Get, "/api/chat/tasks/due"),
            ("GetTask", Get, "/api/chat/tasks/{task}"),
            ("UpdateTask", Put, "/api/chat/tasks/{task}"),
            ("DeleteTask", Delete, "/api/chat/tasks/{task}"),
            ("AdvanceTask", Post, "/api/chat/tasks/{task}/{step}"),
        ],
    ),
    (
        "Stored agents",
        &[
            ("ListAgents", Get, "/api/chat/agents"),
            ("CreateAgent", Post, "/api/chat/agents"),
            ("GetAgentByName", Get, "/api/chat/agents/by-name/{name}"),
            ("ListAgentsOfDeployment", Get, "/api/chat/agents/by-deployment/{deployment}"),
            ("GetAgent", Get, "/api/chat/agents/{agent}"),
            ("UpdateAgent", Put, "/api/chat/agents/{agent}"),
            ("DeleteAgent", Delete, "/api/chat/agents/{agent}"),
        ],
    ),
    (
        "Goal templates",
        &[
            ("ListGoalTemplates", Get, "/api/chat/goal-templates"),
            ("CreateGoalTemplate", Post, "/api/chat/goal-templates"),
            ("GetGoalTemplate", Get, "/api/chat/goal-templates/{template}"),
            ("UpdateGoalTemplate", Put, "/api/chat/goal-templates/{template}"),
            ("DeleteGoalTemplate", Delete, "/api/chat/goal-templates/{template}"),
        ],
    ),
    (
        "Schedules",
        &[
            ("ListSchedules", Get, "/api/schedules"),
            ("CreateSchedule", Post, "/api/schedules"),
            ("GetSchedule", Get, "/api/schedules/{schedule}"),
            ("UpdateSchedule", Put, "/api/schedules/{schedule}"),
            ("DeleteSchedule", Delete, "/api/schedules/{schedule}"),
            ("AdvanceSchedule", Post, "/api/schedules/{schedule}/{step}"),
        ],
    ),
];
