//! ElevenLabs over HTTP: the voices of an account.
//!
//! The REST example among the definitions: JSON and multipart bodies, a binary answer, an older list without pages beside a
//! newer one with a cursor, and errors per status. An error's `detail` is a sentence, an object or a list, so it
//! is a union by the kind of JSON. Speech over WebSockets is in [`crate::elevenlabs`]; both have one type of settings.

use schematic_define::prelude::*;

use crate::elevenlabs::voice_settings_type;
use crate::shorthand::strings;

/// The endpoints without types.
pub fn elevenlabs_rest_api() -> RestApi {
    RestApi {
        name: "ElevenLabsVoices".into(),
        description: "The voices of an account: listed, made, set and removed".into(),
        base_url: "https://api.elevenlabs.io".into(),
        docs_url: Some("https://elevenlabs.io/docs/api-reference/voices".into()),
        auth: AuthStrategy::ApiKey { header: "xi-api-key".into() },
        env_auth: vec!["ELEVENLABS_API_KEY".into()],
        env_username: None,
        headers: vec![],
        endpoints: [lists(), one_voice(), settings_of_a_voice(), changes(), samples()].concat(),
    }
}

/// The whole definition.
pub fn elevenlabs_rest() -> Definition {
    Definition::new("ElevenLabsVoices", "The voices of an account: listed, made, set and removed")
        .with_rest(elevenlabs_rest_api())
        .with_type(voice_settings_type())
        .with_types(voices())
        .with_types(answers())
        .with_types(errors())
}

fn lists() -> Vec<Endpoint> {
    let all = get("ListVoices", "/v1/voices", "All voices at once", json("VoiceList"));
    let pages = get("SearchVoices", "/v2/voices", "Voices that match, page by page", json("VoicePage"));
    vec![
        Endpoint {
            params: vec![query(
                "show_legacy",
                ParamType::Boolean,
                Some("false"),
                "Whether old premade voices are listed",
            )],
            ..all
        },
        Endpoint {
            params: search_params(),
            pagination: Some(Pagination::Cursor {
                param: "next_page_token".into(),
                next: strings(["next_page_token"]),
                items: strings(["voices"]),
            }),
            ..pages
        },
    ]
}

fn search_params() -> Vec<RestParam> {
    let text = |name: &str, description: &str| query(name, ParamType::String, None, description);
    vec![
        text("next_page_token", "The page to send; the page before names it"),
        query("page_size", ParamType::Integer, Some("10"), "Voices in a page, at most 100"),
        text("search", "Words in name, description, labels or category"),
        text("sort", "`created_at_unix` or `name`"),
        text("sort_direction", "`asc` or `desc`"),
        text("voice_type", "`personal`, `community`, `default`, `workspace`, `non-default` or `saved`"),
        text("category", "`premade`, `cloned`, `generated` or `professional`"),
        text("fine_tuning_state", "State of fine tuning, of professional voices"),
        text("collection_id", "The collection that holds the voices"),
        query(
            "include_total_count",
            ParamType::Boolean,
            Some("true"),
            "Whether all matches are counted, which takes time",
        ),
    ]
}

fn one_voice() -> Vec<Endpoint> {
    let read = get("GetVoice", "/v1/voices/{voice_id}", "One voice", json("Voice"));
    let with_settings = query(
        "with_settings",
        ParamType::Boolean,
        Some("true"),
        "Without effect since settings always come along",
    );
    let remove = Endpoint::new(
        "DeleteVoice",
        RestMethod::Delete,
        "/v1/voices/{voice_id}",
        "Removes a voice",
        or_error(json("StatusAnswer")),
    );
    vec![
        Endpoint { params: vec![voice_id(), with_settings], ..read },
        Endpoint { params: vec![voice_id()], ..remove },
    ]
}

fn settings_of_a_voice() -> Vec<Endpoint> {
    let read = get(
        "GetVoiceSettings",
        "/v1/voices/{voice_id}/settings",
        "How a voice speaks",
        json("VoiceSettings"),
    );
    let edit = post(
        "EditVoiceSettings",
        "/v1/voices/{voice_id}/settings/edit",
        "Says how a voice speaks",
        ApiRequest::Json(Schema::new("VoiceSettings")),
        json("StatusAnswer"),
    );
    vec![
        get(
            "GetDefaultVoiceSettings",
            "/v1/voices/settings/default",
            "How a voice speaks when nothing is said about it",
            json("VoiceSettings"),
        ),
        Endpoint { params: vec![voice_id()], ..read },
        Endpoint { params: vec![voice_id()], ..edit },
    ]
}

fn changes() -> Vec<Endpoint> {
    let add = post(
        "AddVoice",
        "/v1/voices/add",
        "Makes a voice from recordings",
        ApiRequest::FormData { fields: voice_form(true) },
        json("AddedVoice"),
    );
    let edit = post(
        "EditVoice",
        "/v1/voices/{voice_id}/edit",
        "Changes a voice, and adds recordings to it",
        ApiRequest::FormData { fields: voice_form(false) },
        json("StatusAnswer"),
    );
    vec![add, Endpoint { params: vec![voice_id()], ..edit }]
}

fn voice_form(files_required: bool) -> Vec<FormField> {
    let part = |name: &str, kind, required, description: &str| FormField {
        name: name.into(),
        kind,
        required,
        description: description.into(),
    };
    vec![
        part("name", FormFieldKind::Text, true, "Name of the voice"),
        part("files", FormFieldKind::Files, files_required, "Recordings of the speaker"),
        part(
            "remove_background_noise",
            FormFieldKind::Text,
            false,
            "`true` if the recordings are to be cleaned first",
        ),
        part("description", FormFieldKind::Text, false, "What the voice is like"),
        part("labels", FormFieldKind::Json(Schema::new("Labels")), false, "Language, accent, gender, age"),
    ]
}

fn samples() -> Vec<Endpoint> {
    let path = "/v1/voices/{voice_id}/samples/{sample_id}";
    let sample_id =
        || RestParam { name: "sample_id".into(), description: "The recording".into(), ..voice_id() };
    let audio = get(
        "GetSampleAudio",
        &format!("{path}/audio"),
        "A recording that a voice was made from",
        ApiResponse::Binary,
    );
    let remove = Endpoint::new(
        "DeleteSample",
        RestMethod::Delete,
        path,
        "Removes a recording",
        or_error(json("StatusAnswer")),
    );
    vec![
        Endpoint { params: vec![voice_id(), sample_id()], ..audio },
        Endpoint { params: vec![voice_id(), sample_id()], ..remove },
    ]
}

fn get(id: &str, path: &str, description: &str, answer: ApiResponse) -> Endpoint {
    Endpoint::new(id, RestMethod::Get, path, description, or_error(answer))
}

fn post(id: &str, path: &str, description: &str, request: ApiRequest, answer: ApiResponse) -> Endpoint {
    let endpoint = Endpoint::new(id, RestMethod::Post, path, description, or_error(answer));
    Endpoint { request: Some(request), ..endpoint }
}

fn json(type_name: &str) -> ApiResponse {
    ApiResponse::Json(Schema::new(type_name))
}

/// The answer with status 200, or why there is none.
fn or_error(answer: ApiResponse) -> ApiResponse {
    let status =
        |status, description: &str, body| StatusResponse { status, description: description.into(), body };
    ApiResponse::PerStatus(vec![
        status(200, "It is done", answer),
        status(
            400,
            "The request makes no sense, for example because the voice does not exist",
            json("Failure"),
        ),
        status(401, "The key is missing, wrong, or may not do this", json("Failure")),
        status(404, "There is no such thing", json("Failure")),
        status(422, "A parameter or a member of the body does not fit", json("Failure")),
        status(429, "Too many requests at once, or the service is busy", json("Failure")),
    ])
}

fn query(name: &str, param_type: ParamType, default: Option<&str>, description: &str) -> RestParam {
    RestParam {
        name: name.into(),
        place: ParamPlace::Query,
        param_type,
        required: false,
        default: default.map(Into::into),
        description: description.into(),
    }
}

fn voice_id() -> RestParam {
    RestParam {
        name: "voice_id".into(),
        place: ParamPlace::Path,
        param_type: ParamType::String,
        required: true,
        default: None,
        description: "The voice".into(),
    }
}

fn voices() -> Vec<TypeDef> {
    let maybe = |name: &str, ty: Type| Field::optional(name, ty).nullable();
    vec![
        TypeDef::alias("Labels", "What a voice is like, by kind of label", Type::map(Type::String)),
        TypeDef::record(
            "Voice",
            "A voice",
            vec![
                Field::required("voice_id", Type::String).doc("Its id"),
                Field::required("name", Type::String).doc("Its name"),
                Field::required("category", Type::named("VoiceCategory")).doc("Where it comes from"),
                maybe("description", Type::String).doc("What it is like"),
                Field::optional("labels", Type::named("Labels")).doc("Language, accent, gender, age"),
                maybe("preview_url", Type::String).doc("Where it can be heard"),
                maybe("samples", Type::array(Type::named("VoiceSample"))).doc("What it was made from"),
                maybe("settings", Type::named("VoiceSettings")).doc("How it speaks"),
                Field::optional("available_for_tiers", Type::array(Type::String))
                    .doc("Which plans may use it"),
                Field::optional("high_quality_base_model_ids", Type::array(Type::String))
                    .doc("Models in which it sounds best"),
                maybe("verified_languages", Type::array(Type::named("VerifiedLanguage")))
                    .doc("Languages in which it was judged"),
                maybe("fine_tuning", Type::Json).doc("Progress of fine tuning, by model"),
                maybe("sharing", Type::Json).doc("How it is shared in the library"),
                maybe("is_owner", Type::Boolean).doc("Whether the account made it"),
                maybe("is_legacy", Type::Boolean).doc("Whether it is an old premade voice"),
                maybe("created_at_unix", Type::Integer).doc("When it was made, in seconds since 1970"),
            ],
        ),
        TypeDef::open_enum(
            "VoiceCategory",
            "Where a voice comes from",
            ["premade", "cloned", "generated", "professional", "famous", "high_quality"],
        ),
        TypeDef::record(
            "VoiceSample",
            "A recording that a voice was made from",
            vec![
                Field::required("sample_id", Type::String).doc("Its id"),
                Field::required("file_name", Type::String).doc("Name of the file"),
                Field::required("mime_type", Type::String).doc("Media type of the file"),
                maybe("size_bytes", Type::Unsigned).doc("Length of the file"),
                maybe("hash", Type::String).doc("Hash of the file"),
            ],
        ),
        TypeDef::record(
            "VerifiedLanguage",
            "A language in which a voice was judged",
            vec![
                Field::required("language", Type::String).doc("The language"),
                Field::required("model_id", Type::String).doc("The model that spoke"),
                maybe("accent", Type::String).doc("The accent"),
                maybe("locale", Type::String).doc("Language and region, such as `en-US`"),
                maybe("preview_url", Type::String).doc("Where it can be heard"),
            ],
        ),
    ]
}

fn answers() -> Vec<TypeDef> {
    let voices = || Field::required("voices", Type::array(Type::named("Voice"))).doc("The voices");
    vec![
        TypeDef::record("VoiceList", "All voices", vec![voices()]),
        TypeDef::record(
            "VoicePage",
            "A page of voices",
            vec![
                voices(),
                Field::required("has_more", Type::Boolean).doc("Whether further pages follow"),
                Field::optional("total_count", Type::Unsigned)
                    .nullable()
                    .doc("Voices in all pages, if they were counted"),
                Field::optional("next_page_token", Type::String).nullable().doc("The next page"),
            ],
        ),
        TypeDef::record(
            "AddedVoice",
            "A voice that was made",
            vec![
                Field::required("voice_id", Type::String).doc("Its id"),
                Field::optional("requires_verification", Type::Boolean)
                    .doc("Whether the speaker must confirm it before it can be used"),
            ],
        ),
        TypeDef::record(
            "StatusAnswer",
            "That it was done",
            vec![Field::required("status", Type::String).doc("`ok`")],
        ),
    ]
}

fn errors() -> Vec<TypeDef> {
    let by_kind = |name: &str, ty, kind| Variant::new(name, ty, Recognition::Kind(kind));
    vec![
        TypeDef::record(
            "Failure",
            "Why a request failed",
            vec![Field::required("detail", Type::named("FailureDetail")).doc("The reason")],
        ),
        TypeDef::union(
            "FailureDetail",
            "A sentence, a named reason, or what did not fit",
            vec![
                by_kind("Sentence", Type::String, JsonKind::String),
                by_kind("Reason", Type::named("FailureReason"), JsonKind::Object),
                by_kind("Misfits", Type::array(Type::named("Misfit")), JsonKind::Array),
            ],
        ),
        TypeDef::record(
            "FailureReason",
            "A named reason",
            vec![
                Field::required("status", Type::String).doc("Its name, such as `voice_not_found`"),
                Field::required("message", Type::String).doc("The reason in a sentence"),
            ],
        ),
        TypeDef::record(
            "Misfit",
            "A parameter or member that does not fit",
            vec![
                Field::required("loc", Type::array(Type::named("PlacePart"))).doc("Where it stands"),
                Field::required("msg", Type::String).doc("What is wrong, in a sentence"),
                Field::required("type", Type::String).doc("The kind of misfit"),
            ],
        ),
        TypeDef::union(
            "PlacePart",
            "A name, or a place in a list",
            vec![
                by_kind("Name", Type::String, JsonKind::String),
                by_kind("Index", Type::Unsigned, JsonKind::Number),
            ],
        ),
    ]
}
